// Goal: golden-check says "failed" of a broken case, with what is wrong, and never ends by one; a
// wrong number fails; kinds that are not known are told apart. Method: copies of golden cases with
// one thing broken.
#include "diffusion/golden_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <format>
#include <fstream>

#include "diffusion/golden_executors.h"
#include "testing/temp_folder.h"

namespace ingle::diffusion {
namespace {

namespace fs = std::filesystem;
using Outcome = GoldenVerdict::Outcome;

class GoldenCheck : public ::testing::Test {
 protected:
  fs::path copy(const std::string& name) {
    const auto to = dir_.path() / name;
    fs::copy(fs::path(INGLE_GOLDEN) / name, to, fs::copy_options::recursive);
    return to;
  }
  GoldenVerdict check(const fs::path& folder) { return check_golden(folder, *executor_); }
  static void write(const fs::path& file, std::string_view text) {
    std::ofstream(file, std::ios::binary) << text;
  }

  testing::TempFolder dir_;
  std::unique_ptr<tensor::Executor> executor_ = *make_golden_executor("onednn");
};

TEST_F(GoldenCheck, FindsCasesAnywhereBelow) {
  const auto all = golden_folders(INGLE_GOLDEN);
  EXPECT_GE(all.size(), 40u);
  EXPECT_EQ(golden_folders(fs::path(INGLE_GOLDEN) / "sched_euler").size(), 1u);
  EXPECT_TRUE(golden_folders(dir_.path() / "nowhere").empty());
}

TEST_F(GoldenCheck, AWrongNumberFails) {
  const auto folder = copy("sched_euler");
  EXPECT_EQ(check(folder).outcome, Outcome::passed);
  const auto file = folder / "io.safetensors";
  std::fstream io(file, std::ios::binary | std::ios::in | std::ios::out);
  io.seekp(-8, std::ios::end);
  io.write("\x00\x00\x80\x41\x00\x00\x80\x41", 8);
  io.close();
  const auto verdict = check(folder);
  EXPECT_EQ(verdict.outcome, Outcome::failed);
  EXPECT_NE(verdict.detail.find("allowed"), std::string::npos) << verdict.detail;
}

TEST_F(GoldenCheck, BrokenCasesFailWithAReason) {
  for (const std::string name :
       {"sched_euler", "unet_sd15", "vae_sd", "flux_schnell", "clip_text_l", "pipe_sdxl"}) {
    const auto whole = copy(name);
    for (const std::string file : {"io.safetensors", "config.json", "case.json"}) {
      if (!fs::exists(whole / file)) continue;
      const auto kept = whole / (file + ".kept");
      fs::rename(whole / file, kept);
      EXPECT_EQ(check(whole).outcome, Outcome::failed) << name << " without " << file;
      EXPECT_FALSE(check(whole).detail.empty());
      fs::copy(kept, whole / file);
      fs::resize_file(whole / file, fs::file_size(kept) / 2);
      EXPECT_EQ(check(whole).outcome, Outcome::failed) << name << " with half of " << file;
      write(whole / file, "{}");
      EXPECT_NE(check(whole).outcome, Outcome::passed) << name << " with an empty " << file;
      fs::remove(whole / file);
      fs::rename(kept, whole / file);
    }
  }
}

// A case is asked for by what it says: wrong types and sizes of anything in it are its failure.
TEST_F(GoldenCheck, HostileCasesFailWithAReason) {
  const auto folder = copy("sched_euler");
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"case": ["a"], "kind": {"x": 1}, "max_abs_error": "a"})", "kind"},
      {R"({"case": 7, "kind": 42})", "kind"},
      {R"({"kind": "scheduler"})", "max_abs_error"},
      {R"({"kind": "scheduler", "max_abs_error": {"default": -1}})", "allowed"},
      {R"([1, 2, 3])", "object"},
  };
  for (const auto& [text, reason] : cases) {
    write(folder / "case.json", text);
    const auto verdict = check(folder);
    EXPECT_EQ(verdict.outcome, Outcome::failed) << text;
    EXPECT_NE(verdict.detail.find(reason), std::string::npos) << text << ": " << verdict.detail;
  }
  write(folder / "case.json", "{\"case\": \"two\\nlines\", \"kind\": \"nobody\"}");
  EXPECT_EQ(check(folder).name, "sched_euler");
  const auto vae = copy("vae_sd");
  fs::remove(vae / "io.safetensors");
  fs::create_directory(vae / "io.safetensors");
  EXPECT_NE(check(vae).detail.find("no ordinary file"), std::string::npos);
}

TEST_F(GoldenCheck, CasesMayHaveOtherNamesAndSayTheirSettings) {
  const auto folder = dir_.path() / "renamed";
  fs::rename(copy("pipe_sdxl"), folder);
  EXPECT_EQ(check(folder).outcome, Outcome::passed);
  // Without a word of its settings it is what the reference pipeline does by itself.
  fs::remove(folder / "README.md");
  EXPECT_EQ(check(folder).outcome, Outcome::passed) << check(folder).detail;
  constexpr std::string_view kCase = R"({{"case": "c", "kind": "pipeline_from_embeddings",
    "max_abs_error": {{"latents": 1e-3, "image": 2e-3}}{}}})";
  write(folder / "case.json", std::format(kCase, R"(, "guidance_scale": 9)"));
  EXPECT_EQ(check(folder).outcome, Outcome::failed);
  EXPECT_EQ(check(folder).detail.find("says"), std::string::npos);
  write(folder / "README.md", "CFG 9");
  write(folder / "case.json", std::format(kCase, R"(, "guidance_scale": 5)"));
  EXPECT_EQ(check(folder).outcome, Outcome::passed);
}

TEST_F(GoldenCheck, AFailureTellsWhichSettingsWereNotSaid) {
  const auto folder = copy("pipe_z_image");
  fs::remove(folder / "README.md");
  const auto verdict = check(folder);
  EXPECT_EQ(verdict.outcome, Outcome::failed);
  EXPECT_NE(verdict.detail.find("guidance_scale 5"), std::string::npos) << verdict.detail;
}

TEST_F(GoldenCheck, TellsUnknownKindsApart) {
  const auto folder = dir_.path() / "other";
  fs::create_directories(folder);
  write(folder / "case.json", R"({"case": "other", "kind": "wan_transformer"})");
  const auto verdict = check(folder);
  EXPECT_EQ(verdict.outcome, Outcome::unknown_kind);
  EXPECT_NE(verdict.detail.find("unknown kind"), std::string::npos);
  EXPECT_EQ(verdict.name, "other");
  // A pipeline of a family that is not known is of an unknown kind, too.
  const auto video = dir_.path() / "video";
  fs::create_directories(video);
  write(video / "case.json", R"({"case": "video", "kind": "pipeline_from_embeddings"})");
  write(video / "model_index.json", R"({"_class_name": "WanPipeline"})");
  EXPECT_EQ(check(video).outcome, Outcome::unknown_kind);
}

}  // namespace
}  // namespace ingle::diffusion
