// TextPart: one text encoder of a model with its tokenizer, as prompt encoders use them. One
// thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "diffusion/prompts.h"
#include "text/tokenizer.h"

namespace ingle::diffusion {

template <class Encoder>
class TextPart {
 public:
  // `role` is "text_encoder", "text_encoder_2". Errors: model_broken, those of the tokenizer.
  static base::Result<TextPart> create(const weights::ModelFiles& files, std::string_view role,
                                       text::TokenizerKind kind, tensor::Executor& executor) {
    TextPart out(executor);
    out.role_ = role;
    TRY_ASSIGN(out.part_, files.part(role));
    if (out.part_->weights == nullptr)
      return base::fail(base::ErrorCode::model_broken, out.role_ + " has no weights");
    auto tokenizer_role = "tokenizer" + out.role_.substr(std::string_view("text_encoder").size());
    TRY_ASSIGN(const auto* const folder, files.part(tokenizer_role));
    auto tokenizer = text::open_tokenizer(folder->folder, kind);
    if (!tokenizer)
      return base::fail(std::move(tokenizer).error().with_context("opening " + tokenizer_role));
    out.tokenizer_ = *std::move(tokenizer);
    TRY(out.open({}));
    return out;
  }

  base::Status open(const ReplacedWeights& replaced) {
    const auto found = replaced.find(role_);
    const auto& weights = found == replaced.end() ? *part_->weights : *found->second;
    if (module_ != nullptr && weights_ == &weights) return {};
    TRY_ASSIGN(auto module, executor_->open(weights));
    auto encoder = Encoder::create(part_->config, weights, *module);
    if (!encoder) return base::fail(std::move(encoder).error().with_context(role_));
    encoder_ = *std::move(encoder);  // before the module that it refers to
    module_ = std::move(module);
    weights_ = &weights;
    return {};
  }

  Encoder& encoder() { return *encoder_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::string& role() const { return role_; }

 private:
  explicit TextPart(tensor::Executor& executor) : executor_(&executor) {}

  std::string role_{};
  tensor::Executor* executor_;
  const weights::Part* part_ = nullptr;
  const tensor::WeightSource* weights_ = nullptr;
  std::unique_ptr<text::Tokenizer> tokenizer_{};
  std::unique_ptr<tensor::Module> module_{};
  std::unique_ptr<Encoder> encoder_{};
};

}  // namespace ingle::diffusion
