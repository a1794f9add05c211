// Jobs: long work with an id, progress, cancel and history. GET/POST /api/v1/jobs,
// GET/DELETE /api/v1/jobs/{id}; changes come as events with topic "job".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"
#include "protocol/drawing.h"
#include "protocol/errors.h"
#include "protocol/models.h"

namespace ingle::protocol {

enum class DOC("What a job does.") JobKind { load, benchmark, calibration, image };

enum class DOC("Where a job stands; interrupted: the daemon ended under it.") JobState {
  queued,
  running,
  completed,
  failed,
  cancelled,
  interrupted
};

struct ImageAdapter {
  DOC("Name of the adapter (LoRA), as the catalogue has it.") std::string model{};
  DOC("How much of it is added.") double weight = 1;
};

enum class DOC("Kinds of picture files.") ImageFormat { png, jpeg, webp };

struct ImageRequest {
  DOC("Name of the model; empty: the only picture model there is.") std::string model{};
  DOC("What the picture shows.") std::string prompt{};
  DOC("What to avoid; empty: nothing. Some models do not heed it.") std::string negative_prompt{};
  DOC("Width in pixels; absent: the model's own, or the given picture's.")
  std::optional<std::int64_t> width{};
  DOC("Height in pixels; absent: as the width.") std::optional<std::int64_t> height{};
  DOC("Steps of the sampler; absent: the model's own.") std::optional<std::int64_t> steps{};
  DOC("How closely to follow the prompt; absent: the model's own.")
  std::optional<double> guidance{};
  DOC("Seed of the first picture, 0 to 2^53 - 1; each further one has one more; absent: random.")
  std::optional<std::int64_t> seed{};
  DOC("How many pictures.") std::int64_t count = 1;
  DOC("Sampler; empty: the model's own.") std::string sampler{};
  DOC("How noise falls over the steps: simple, karras, exponential, ays; empty: the model's own.")
  std::string schedule{};
  DOC("Layers of the text encoder that are left out at its end.") std::int64_t clip_skip =
      0;
  DOC("Picture of the gallery to begin with; empty: none, or the one sent along.")
  std::string image{};
  DOC("Share of the steps that change the given picture, 0 to 1; absent: 0.75.")
  std::optional<double> strength{};
  DOC("Whether to decode in tiles, for less memory.") bool tile_decoder = false;
  DOC("Steps between two previews; 0: none.") std::int64_t preview_every = 4;
  DOC("Adapters (LoRA) to add.") std::vector<ImageAdapter> adapters{};
  DOC("What few requests use.") DrawExtras extras{};
  DOC("Kind of the pictures' files; absent: as configured (images.format).")
  std::optional<ImageFormat> format{};
  DOC("Quality of JPEG and WebP files, 1 to 100; WebP with 100 is exact; absent: as configured "
      "(images.quality).")
  std::optional<std::int64_t> quality{};
  DOC("Settings to load the model with instead of derived ones, as name=value.")
  std::vector<std::string> set{};
};

struct JobRequest {
  DOC("What to do.") JobKind kind = JobKind::load;
  DOC("Name of the model.") std::string model{};
  DOC("Settings to use instead of derived ones, as name=value.") std::vector<std::string> set{};
  DOC("With kind load: unload after this long without use; absent: as configured.")
  std::optional<std::string> keep_alive{};
  DOC("With kind calibration: longest time, such as \"10m\"; absent: 10m.")
  std::optional<std::string> time_limit{};
  DOC("Tokens of the prompts to measure with; absent: 512.")
  std::optional<std::int64_t> prompt_tokens{};
  DOC("Tokens to generate in a measurement; absent: 64.")
  std::optional<std::int64_t> generated_tokens{};
  DOC("With kind calibration: keep the winner as the model's settings; absent: true.")
  std::optional<bool> apply{};
  DOC("With kind calibration: try a smaller KV type, too, which changes answers a little; absent: "
      "false.")
  std::optional<bool> smaller_kv{};
  DOC("With kind image: what to draw; its model is the job's.") std::optional<ImageRequest>
      image{};
};

struct JobProgress {
  DOC("What it does now, such as \"loading\".") std::string stage{};
  DOC("Share that is done, 0 to 1.") double share = 0;
  DOC("Units done; absent when it does not count in units.") std::optional<double> done{};
  DOC("Units in all.") std::optional<double> total{};
  DOC("What is counted, such as \"bytes\" or \"trials\"; empty: nothing.") std::string unit{};
  DOC("Units a second.") std::optional<double> rate_per_s{};
  DOC("Time left, in milliseconds, as far as it can be told.")
  std::optional<std::int64_t> left_ms{};
  DOC("One sentence for people.") std::string message{};
};

struct BenchmarkResult {
  DOC("Tokens of a prompt.") std::int64_t prompt_tokens = 0;
  DOC("Tokens generated in a run.") std::int64_t generated_tokens = 0;
  DOC("Runs after the warm-up.") std::int64_t runs = 0;
  DOC("Tokens of the prompt read a second, median.") double prompt_tokens_per_s = 0;
  DOC("Tokens generated a second, median.") double generated_tokens_per_s = 0;
  DOC("Memory of the worker, in bytes.") std::int64_t resident_bytes = 0;
  DOC("The settings it ran with.") std::vector<Setting> settings{};
};

struct CalibrationTrial {
  DOC("What it changed, as name=value; empty: the default.") std::vector<std::string> set{};
  DOC("Tokens of the prompt read a second, median.") double prompt_tokens_per_s = 0;
  DOC("Tokens generated a second, median.") double generated_tokens_per_s = 0;
  DOC("Time of the workload relative to the default's: below 1 is faster.")
  double relative_time = 0;
  DOC("Memory of the worker, in bytes.") std::int64_t resident_bytes = 0;
  DOC("What happened to it, in words: \"kept\", \"slower\", or why it failed.") std::string
      note{};
};

struct CalibrationResult {
  DOC("Settings that won, as name=value; empty: the default is best.")
  std::vector<std::string> chosen{};
  DOC("Whether they were kept as the model's settings.") bool applied = false;
  DOC("Prompt speed over the default's.") double prompt_gain = 1;
  DOC("Generation speed over the default's.") double generation_gain = 1;
  DOC("What was found, in one sentence.") std::string verdict{};
  DOC("Whether the time limit ended the search.") bool out_of_time = false;
  DOC("Every trial, in order.") std::vector<CalibrationTrial> trials{};
};

struct KeptSettings {
  DOC("Name of the model.") std::string model{};
  DOC("Settings it is loaded with, as name=value, unless a request says otherwise.")
  std::vector<std::string> settings{};
  DOC("When they were kept: Unix time in milliseconds.") std::int64_t kept_unix_ms = 0;
  DOC("The calibration that found them.") CalibrationResult evidence{};
};

struct ImageResult {
  DOC("Ids of the pictures in the gallery, in the order of their seeds.")
  std::vector<std::string> images{};
  DOC("Seed of the first.") std::int64_t seed = 0;
  DOC("Time from the model's being ready to the last picture, in milliseconds.")
  double draw_ms = 0;
};

struct JobInfo {
  DOC("Its id, such as \"job-12\"; never used again.") std::string id{};
  DOC("What it does.") JobKind kind = JobKind::load;
  DOC("Name of the model.") std::string model{};
  DOC("Where it stands.") JobState state = JobState::queued;
  DOC("How far it is.") JobProgress progress{};
  DOC("When it was asked for: Unix time in milliseconds.") std::int64_t created_unix_ms =
      0;
  DOC("When it began: Unix time in milliseconds; absent: not yet.")
  std::optional<std::int64_t> started_unix_ms{};
  DOC("When it ended: Unix time in milliseconds; absent: not yet.")
  std::optional<std::int64_t> ended_unix_ms{};
  DOC("Why it failed; absent when it did not.") std::optional<ErrorInfo> error{};
  DOC("With kind load, when completed.") std::optional<LoadResult> load{};
  DOC("With kind benchmark, when completed.") std::optional<BenchmarkResult> benchmark{};
  DOC("With kind calibration, when completed.") std::optional<CalibrationResult> calibration{};
  DOC("With kind image, once there are pictures.") std::optional<ImageResult> image{};
  DOC("With kind image: rises with every preview, which GET /api/v1/jobs/{id}/preview answers; "
      "absent: there is none.")
  std::optional<std::int64_t> preview{};
};

struct JobList {
  DOC("The jobs, newest first.") std::vector<JobInfo> jobs{};
};

}  // namespace ingle::protocol
