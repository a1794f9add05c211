// Goal: files become models with the right kinds, problems and ids, and are found by the names
// that people type.
// Method: tables of files with readings made by hand; no disk.
#include <gtest/gtest.h>

#include "catalog/names.h"
#include "catalog/snapshot.h"
#include "catalog/text.h"

namespace ingle::catalog {
namespace {

using base::ErrorCode;
using protocol::ModelKind;
using protocol::ModelState;

gguf::ModelFacts facts(std::string architecture = "llama") {
  return {.architecture = std::move(architecture),
          .quantization = "Q4_K",
          .parameters = 10,
          .weight_bytes = 100,
          .layers = 2,
          .tokenizer = "gpt2"};
}

FileEntry file(gguf::ModelFacts of = facts(), std::string type = "model") {
  return {.size_bytes = 1000,
          .modified_ns = 5'000'000,
          .reading = std::make_shared<FileReading>(
              FileReading{.type = std::move(type), .facts = std::move(of)})};
}

FileEntry broken(std::string problem) {
  return {.reading = std::make_shared<FileReading>(FileReading{.problem = std::move(problem)})};
}

FileEntry shard(std::uint32_t index, std::uint32_t count, std::uint64_t weight_bytes = 100,
                std::string quantization = "Q4_K") {
  auto of = facts();
  of.split_index = index;
  of.split_count = count;
  of.weight_bytes = weight_bytes;
  of.quantization = std::move(quantization);
  return file(of);
}

std::vector<std::string> ids_of(const Snapshot& snapshot) {
  std::vector<std::string> out;
  for (const auto& model : snapshot.models) out.push_back(model.info.id);
  return out;
}

// The only model of these files.
ModelRecord only(FileTable files) {
  const auto snapshot = make_snapshot(std::move(files));
  EXPECT_EQ(snapshot.models.size(), 1u);
  return snapshot.models.at(0);
}

using Ids = std::vector<std::string>;

TEST(Assemble, AModelTellsItsFacts) {
  auto of = facts();
  of.name = "Tiny";
  of.context_tokens_max = 4096;
  of.embedding_length = 64;
  of.chat_template = "{{ x }}";
  const auto model = only({{"/m/tiny.gguf", file(of)}});
  EXPECT_EQ(model.info.id, "tiny");
  EXPECT_EQ(model.info.kind, ModelKind::text);
  EXPECT_EQ(model.info.state, ModelState::usable);
  EXPECT_EQ(model.info.problem, "");
  EXPECT_EQ(model.info.path, "/m/tiny.gguf");
  EXPECT_EQ(model.info.file_count, 1);
  EXPECT_EQ(model.info.size_bytes, 1000);
  EXPECT_EQ(model.info.modified_unix_ms, 5);
  EXPECT_EQ(model.info.name, "Tiny");
  EXPECT_EQ(model.info.architecture, "llama");
  EXPECT_EQ(model.info.quantization, "Q4_K");
  EXPECT_EQ(model.info.parameters, 10);
  EXPECT_EQ(model.info.context_tokens_max, 4096);
  EXPECT_EQ(model.info.embedding_length, 64);
  EXPECT_TRUE(model.info.has_chat_template);
}

TEST(Assemble, KindsAreTold) {
  const auto kind = [](gguf::ModelFacts of, std::string type = "model",
                       std::string name = "/m/x.gguf") {
    return only({{std::move(name), file(std::move(of), std::move(type))}}).info.kind;
  };
  const auto with = [](auto change, std::string architecture = "llama") {
    auto of = facts(std::move(architecture));
    change(of);
    return of;
  };
  EXPECT_EQ(kind(facts()), ModelKind::text);
  EXPECT_EQ(kind(facts("clip")), ModelKind::projector);
  EXPECT_EQ(kind(facts(), "mmproj"), ModelKind::projector);
  EXPECT_EQ(kind(facts(), "model", "/m/mmproj-x-f16.gguf"), ModelKind::projector);
  EXPECT_EQ(kind(facts(), "adapter"), ModelKind::adapter);
  EXPECT_EQ(kind(facts("bert")), ModelKind::embedding);
  EXPECT_EQ(kind(facts("nomic-bert")), ModelKind::embedding);
  EXPECT_EQ(kind(facts("gemma-embedding")), ModelKind::embedding);
  EXPECT_EQ(kind(with([](auto& f) { f.pooling_type = 3; }, "qwen3")), ModelKind::embedding);
  EXPECT_EQ(kind(with([](auto& f) { f.causal = false; })), ModelKind::embedding);
  EXPECT_EQ(kind(with([](auto& f) { f.causal = false; }, "dream")), ModelKind::text);
  EXPECT_EQ(kind(with([](auto& f) { f.pooling_type = 4; }, "qwen3")), ModelKind::reranker);
  EXPECT_EQ(kind(with([](auto& f) { f.has_classifier = true; }, "bert")), ModelKind::reranker);
  EXPECT_EQ(kind(with(
                [](auto& f) {
                  f.layers = 0;
                  f.tokenizer = "";
                },
                "flux")),
            ModelKind::unknown);
}

TEST(Assemble, ShardsAreOneModel) {
  const auto model = only({{"/m/big-00001-of-00003.gguf", shard(0, 3, 10, "F32")},
                           {"/m/big-00002-of-00003.gguf", shard(1, 3, 500, "Q8_0")},
                           {"/m/big-00003-of-00003.gguf", shard(2, 3, 40, "Q4_K")}});
  EXPECT_EQ(model.info.id, "big");
  EXPECT_EQ(model.info.state, ModelState::usable) << model.info.problem;
  EXPECT_EQ(model.info.path, "/m/big-00001-of-00003.gguf");
  EXPECT_EQ(model.info.file_count, 3);
  EXPECT_EQ(model.info.size_bytes, 3000);
  EXPECT_EQ(model.files.size(), 3u);
  EXPECT_EQ(model.files[2], "/m/big-00003-of-00003.gguf");
  EXPECT_EQ(model.facts.weight_bytes, 550u);
  EXPECT_EQ(model.facts.parameters, 30u);
  EXPECT_EQ(model.info.quantization, "Q8_0");
}

TEST(Assemble, AMissingShardIsNamed) {
  const auto model = only(
      {{"/m/big-00001-of-00003.gguf", shard(0, 3)}, {"/m/big-00003-of-00003.gguf", shard(2, 3)}});
  EXPECT_EQ(model.info.state, ModelState::incomplete);
  EXPECT_NE(model.info.problem.find("1 of its 3 shards is missing: 'big-00002-of-00003.gguf'"),
            std::string::npos)
      << model.info.problem;
  const auto last = only({{"/m/big-00009-of-00009.gguf", shard(8, 9)}});
  EXPECT_EQ(last.info.id, "big");
  EXPECT_NE(last.info.problem.find("and 5 more"), std::string::npos) << last.info.problem;
  const auto loading = only({{"/m/big-00001-of-00002.gguf", shard(0, 2)},
                             {"/m/big-00002-of-00002.gguf.part", {.unfinished = "half of it"}}});
  EXPECT_EQ(loading.info.state, ModelState::incomplete);
  EXPECT_EQ(loading.info.problem, "half of it");
}

TEST(Assemble, ShardsOfOtherFoldersAndCountsAreOtherModels) {
  const auto snapshot = make_snapshot({{"/m/a/big-00001-of-00002.gguf", shard(0, 2)},
                                       {"/m/b/big-00002-of-00002.gguf", shard(1, 2)},
                                       {"/m/a/big-00002-of-00004.gguf", shard(1, 4)}});
  EXPECT_EQ(snapshot.models.size(), 3u);
  for (const auto& model : snapshot.models) EXPECT_EQ(model.info.state, ModelState::incomplete);
}

TEST(Assemble, WhatKeepsAModelFromUseIsSaid) {
  const auto problem = [](FileTable files, ModelState state) {
    const auto model = only(std::move(files));
    EXPECT_EQ(model.info.state, state);
    return model.info.problem;
  };
  EXPECT_EQ(problem({{"/m/x.gguf", broken("cut at byte 7")}}, ModelState::broken), "cut at byte 7");
  EXPECT_NE(problem({{"/m/x-00001-of-00002.gguf", shard(0, 2)},
                     {"/m/x-00002-of-00002.gguf", broken("cut")}},
                    ModelState::broken)
                .find("shard 2 ('x-00002-of-00002.gguf'): cut"),
            std::string::npos);
  EXPECT_NE(problem({{"/m/x-00001-of-00002.gguf", shard(1, 2)},
                     {"/m/x-00002-of-00002.gguf", shard(0, 2)}},
                    ModelState::broken)
                .find("another shard's name"),
            std::string::npos);
  EXPECT_NE(
      problem({{"/m/x.gguf", shard(0, 4)}}, ModelState::broken).find("'x-00001-of-00004.gguf'"),
      std::string::npos);
  auto empty = facts();
  empty.weight_bytes = 0;
  EXPECT_NE(problem({{"/m/x.gguf", file(empty)}}, ModelState::broken).find("no weights"),
            std::string::npos);
  EXPECT_EQ(problem({{"/m/x.gguf.part", {.unfinished = "half"}}}, ModelState::incomplete), "half");
}

TEST(Assemble, HostilePathsAreShownEscapedAndNotUsed) {
  for (const char* path : {"/m/a\nb.gguf", "/m/\xff.gguf", "/m/\x1b[2J/c.gguf"}) {
    const auto model = only({{path, file()}});
    EXPECT_EQ(model.info.state, ModelState::broken);
    EXPECT_NE(model.info.problem.find("rename"), std::string::npos);
    EXPECT_TRUE(is_printable(model.info.path)) << model.info.path;
    EXPECT_TRUE(is_id(model.info.id)) << model.info.id;
    EXPECT_EQ(model.files.at(0).native(), path);
  }
}

TEST(Ids, CollisionsGetTheirFolderThenANumber) {
  const auto snapshot = make_snapshot({{"/m/a/tiny.gguf", file()},
                                       {"/m/b/tiny.gguf", file()},
                                       {"/n/b/tiny.gguf", file()},
                                       {"/o/b/tiny.gguf", file()},
                                       {"/m/b/tiny?.gguf", file()}});
  EXPECT_EQ(ids_of(snapshot), (Ids{"b/tiny", "b/tiny-2", "b/tiny-3", "b/tiny-4", "tiny"}));
}

TEST(Ids, StayWhateverComesBefore) {
  auto first = make_snapshot({{"/m/b/tiny.gguf", file()}, {"/m/c/tiny.gguf", file()}});
  EXPECT_EQ(ids_of(first), (Ids{"c/tiny", "tiny"}));
  FileTable more = first.files;
  more.emplace("/m/a/tiny.gguf", file());
  auto second = make_snapshot(more);
  EXPECT_EQ(ids_of(second), (Ids{"a/tiny", "c/tiny", "tiny"}));
  EXPECT_EQ(second.files.at("/m/b/tiny.gguf").model_id, "tiny");
  FileTable fewer = second.files;
  fewer.erase("/m/b/tiny.gguf");
  EXPECT_EQ(ids_of(make_snapshot(fewer)), (Ids{"a/tiny", "c/tiny"}));
}

TEST(Ids, TwoFilesThatClaimOneIdGetTwo) {
  FileTable files{{"/m/a.gguf", file()}, {"/m/b.gguf", file()}};
  for (auto& [path, entry] : files) entry.model_id = "same";
  EXPECT_EQ(ids_of(make_snapshot(files)), (Ids{"b", "same"}));
}

class FindTest : public ::testing::Test {
 protected:
  std::string find(std::string_view name) {
    const auto found = snapshot_.find(name, {});
    return found ? found->info.id
                 : std::string(base::error_code_name(found.error().code)) + ": " +
                       found.error().message;
  }
  const Snapshot snapshot_ = make_snapshot({{"/m/Llama-3-Q4_K_M.gguf", file()},
                                            {"/m/qwen-Q4_K_M.gguf", file()},
                                            {"/m/qwen-Q8_0.gguf", file()},
                                            {"/m/zoo/phi.gguf", file()},
                                            {"/m/zoo/sub/phi.gguf", file()},
                                            {"/m/my model.gguf", file()},
                                            {"/m/bad.gguf", broken("cut at byte 7")},
                                            {"/m/mix-Q4_0.gguf", broken("cut")},
                                            {"/m/mix-Q8_0.gguf", file()}});
};

TEST_F(FindTest, ByIdFileNameCaseAndWithoutQuantisation) {
  EXPECT_EQ(find("Llama-3-Q4_K_M"), "Llama-3-Q4_K_M");
  EXPECT_EQ(find("llama-3-q4_k_m"), "Llama-3-Q4_K_M");
  EXPECT_EQ(find("Llama-3-Q4_K_M.gguf"), "Llama-3-Q4_K_M");
  EXPECT_EQ(find("llama-3"), "Llama-3-Q4_K_M");
  EXPECT_EQ(find("phi"), "phi");
  EXPECT_EQ(find("sub/phi"), "sub/phi");
  EXPECT_EQ(find("My Model"), "my-model");
  EXPECT_EQ(find("mix"), "mix-Q8_0") << "the usable one is meant";
}

TEST_F(FindTest, WhatIsNotClearIsAsked) {
  const auto answer = find("qwen");
  EXPECT_NE(answer.find("model_not_found: 'qwen' could be 2 models"), std::string::npos) << answer;
  EXPECT_NE(answer.find("qwen-Q4_K_M, qwen-Q8_0"), std::string::npos) << answer;
}

TEST_F(FindTest, BrokenModelsSayWhy) {
  EXPECT_EQ(find("bad"), "model_broken: model 'bad' is broken: cut at byte 7");
}

TEST_F(FindTest, UnknownNamesGetNearOnes) {
  EXPECT_EQ(find("lama-3"),
            "model_not_found: no model 'lama-3' here; near names: "
            "Llama-3-Q4_K_M. 'ingle ls' lists all");
  EXPECT_EQ(find("gpt-oss"), "model_not_found: no model 'gpt-oss' here. 'ingle ls' lists all");
  EXPECT_EQ(find(""), "model_not_found: no model '' here. 'ingle ls' lists all");
  EXPECT_EQ(find("a\nb").find('\n'), std::string::npos);
  EXPECT_LT(find(std::string(1 << 20, 'q')).size(), 400u);
}

TEST(FindInNothing, SaysWhereItLookedAndWhatToDo) {
  const auto error = Snapshot().find("tiny", {"/home/me/models", "/data"}).error();
  EXPECT_EQ(error.code, ErrorCode::model_not_found);
  EXPECT_NE(error.message.find("/home/me/models, /data"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("--models DIR"), std::string::npos) << error.message;
}

}  // namespace
}  // namespace ingle::catalog
