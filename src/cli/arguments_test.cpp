// Goal: the words after `ingle` become the right command, and wrong ones say what is wrong with
// exit code 2. Method: parse_arguments() on lists of words.
#include "cli/arguments.h"

#include <gtest/gtest.h>

namespace ingle::cli {
namespace {

using Words = std::vector<std::string>;

template <class T>
T parsed(const Words& words) {
  auto out = parse_arguments(words);
  if (!out) {
    ADD_FAILURE() << out.error().text;
    return {};
  }
  if (!std::holds_alternative<T>(*out)) {
    ADD_FAILURE() << "another command";
    return {};
  }
  return std::get<T>(*std::move(out));
}

std::string refused(const Words& words) {
  const auto out = parse_arguments(words);
  if (out) {
    ADD_FAILURE() << "taken";
    return "";
  }
  EXPECT_EQ(out.error().exit_code, 2);
  return out.error().text;
}

TEST(Arguments, ServeTurnsFlagsIntoKeys) {
  const auto serve = parsed<ServeOptions>({"serve",
                                           "--host",
                                           "0.0.0.0",
                                           "--port",
                                           "0",
                                           "--unix",
                                           "x.sock",
                                           "--models",
                                           "/a,b",
                                           "--models",
                                           "rel",
                                           "--drain-timeout",
                                           "2s",
                                           "--log-level",
                                           "debug",
                                           "--set",
                                           "text.threads=4",
                                           "--set",
                                           "models.keep_alive=-1",
                                           "--profile-startup"});
  EXPECT_TRUE(serve.profile_startup);
  const auto here = std::filesystem::current_path().string();
  std::string listing;
  for (const auto& [flag, key, value] : serve.flags)
    listing += flag + "|" + key + "|" + value + "\n";
  EXPECT_EQ(listing,
            "--host|server.host|0.0.0.0\n"
            "--port|server.port|0\n"
            "--unix|server.unix_path|" +
                here +
                "/x.sock\n"
                "--drain-timeout|server.drain_timeout|2s\n"
                "--log-level|log.level|debug\n"
                "--models|models.folders|[\"/a,b\", \"" +
                here +
                "/rel\"]\n"
                "--set text.threads|text.threads|4\n"
                "--set models.keep_alive|models.keep_alive|-1\n");
  // What it makes of them is a configuration.
  const auto loaded = config::load({.flags = serve.flags});
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->values.models.folders, (Words{"/a,b", here + "/rel"}));
  EXPECT_TRUE(parsed<ServeOptions>({"serve"}).flags.empty());
}

TEST(Arguments, RunTakesAPromptAndItsSettings) {
  const auto run =
      parsed<RunArguments>({"run", "tiny", "Why is the sky blue?", "--temperature", "0.5",
                            "--max-tokens", "7", "--seed", "-3", "--system", "Be brief."});
  EXPECT_EQ(run.model, "tiny");
  EXPECT_EQ(run.prompt, "Why is the sky blue?");
  EXPECT_EQ(run.temperature, 0.5);
  EXPECT_EQ(run.max_tokens, 7);
  EXPECT_EQ(run.seed, -3);
  EXPECT_EQ(run.system, "Be brief.");
  const auto chat = parsed<RunArguments>({"run", "tiny"});
  EXPECT_FALSE(chat.prompt || chat.temperature || chat.max_tokens || chat.seed || chat.system);
}

TEST(Arguments, ModelCommands) {
  EXPECT_EQ(parsed<ListArguments>({"ls", "--json"}).output, Output::json);
  EXPECT_EQ(parsed<ResidentsArguments>({"ps"}).output, Output::table);
  EXPECT_EQ(parsed<SystemArguments>({"system", "--json"}).output, Output::json);
  const auto load = parsed<LoadArguments>({"load", "tiny", "--explain", "--set", "threads=2",
                                           "--set", "parallel=1", "--keep-alive", "-1"});
  EXPECT_EQ(load.model, "tiny");
  EXPECT_TRUE(load.explain);
  EXPECT_EQ(load.set, (Words{"threads=2", "parallel=1"}));
  EXPECT_EQ(load.keep_alive, "-1");
  EXPECT_EQ(parsed<UnloadArguments>({"unload", "tiny"}).model, "tiny");
  EXPECT_FALSE(parsed<UnloadArguments>({"unload", "--all"}).model);
  EXPECT_EQ(parsed<ShowArguments>({"show", "a.gguf"}).form, ShowForm::card);
  EXPECT_EQ(parsed<ShowArguments>({"show", "a.gguf", "--json"}).form, ShowForm::json);
  EXPECT_EQ(parsed<ShowArguments>({"show", "--tensors", "a.gguf"}).form, ShowForm::tensors);
  EXPECT_EQ(parsed<ShowArguments>({"show", "a.gguf", "--raw"}).form, ShowForm::raw);
}

TEST(Arguments, TheOtherCommands) {
  const auto logs = parsed<LogsArguments>(
      {"logs", "-f", "--level", "warning", "--grep", "a b", "--json", "-n", "5"});
  EXPECT_TRUE(logs.follow);
  EXPECT_EQ(logs.level, base::LogLevel::warning);
  EXPECT_EQ(logs.grep, "a b");
  EXPECT_EQ(logs.output, Output::json);
  EXPECT_EQ(logs.count, 5);
  EXPECT_EQ(parsed<LogsArguments>({"logs"}).level, base::LogLevel::trace);
  EXPECT_EQ(parsed<ConfigArguments>({"config", "show", "--set", "log.level=info"}).flags.size(),
            1u);
  EXPECT_EQ(parsed<KeysArguments>({"keys", "new", "laptop"}).name, "laptop");
  EXPECT_EQ(parsed<KeysArguments>({"keys", "ls"}).verb, KeysArguments::Verb::list);
  EXPECT_EQ(parsed<KeysArguments>({"keys", "rm", "3"}).verb, KeysArguments::Verb::remove);
  parsed<VersionArguments>({"version"});
  parsed<VersionArguments>({"--version"});
}

TEST(Arguments, JobsAreListedUnlessTheWordsSayOtherwise) {
  using Verb = JobsArguments::Verb;
  EXPECT_EQ(parsed<JobsArguments>({"jobs"}).verb, Verb::list);
  const auto list = parsed<JobsArguments>({"jobs", "list", "--state", "failed", "-n", "5"});
  EXPECT_EQ(list.state, "failed");
  EXPECT_EQ(list.count, 5);
  EXPECT_EQ(parsed<JobsArguments>({"jobs", "--json"}).output, Output::json);
  const auto show = parsed<JobsArguments>({"jobs", "show", "job-3", "--json"});
  EXPECT_EQ(show.verb, Verb::show);
  EXPECT_EQ(show.id, "job-3");
  EXPECT_EQ(show.output, Output::json);
  EXPECT_EQ(parsed<JobsArguments>({"jobs", "follow", "job-3"}).verb, Verb::follow);
  EXPECT_EQ(parsed<JobsArguments>({"jobs", "cancel", "job-3"}).verb, Verb::cancel);
  refused({"jobs", "cancel"});
  refused({"jobs", "job-3"});
  refused({"jobs", "--state", "lost"});
}

TEST(Arguments, BenchTakesAWorkload) {
  const auto bench = parsed<BenchArguments>({"bench", "tiny", "--set", "threads=2", "--set",
                                             "batch_tokens=64", "--prompt-tokens", "100"});
  EXPECT_EQ(bench.model, "tiny");
  EXPECT_EQ(bench.set, (Words{"threads=2", "batch_tokens=64"}));
  EXPECT_EQ(bench.prompt_tokens, 100);
  EXPECT_FALSE(bench.generated_tokens);
  refused({"bench"});
  refused({"bench", "tiny", "--generated-tokens", "0"});
}

TEST(Arguments, CalibrateLooksUnlessItIsToShowOrToForget) {
  using Verb = CalibrateArguments::Verb;
  const auto plain = parsed<CalibrateArguments>({"calibrate", "tiny"});
  EXPECT_EQ(plain.model, "tiny");
  EXPECT_EQ(plain.verb, Verb::calibrate);
  EXPECT_TRUE(plain.apply);
  EXPECT_FALSE(plain.time || plain.prompt_tokens || plain.smaller_kv);
  const auto full = parsed<CalibrateArguments>({"calibrate", "tiny", "--time", "2m", "--prompt",
                                                "100", "--generate", "20", "--no-apply",
                                                "--smaller-kv", "--set", "threads=2"});
  EXPECT_EQ(full.time, "2m");
  EXPECT_EQ(full.prompt_tokens, 100);
  EXPECT_EQ(full.generated_tokens, 20);
  EXPECT_EQ(full.set, (Words{"threads=2"}));
  EXPECT_TRUE(full.smaller_kv);
  EXPECT_FALSE(full.apply);
  EXPECT_EQ(parsed<CalibrateArguments>({"calibrate", "tiny", "--forget"}).verb, Verb::forget);
  EXPECT_EQ(parsed<CalibrateArguments>({"calibrate", "tiny", "--show"}).verb, Verb::show);
  refused({"calibrate"});
  refused({"calibrate", "tiny", "--forget", "--show"});
  refused({"calibrate", "tiny", "--prompt", "0"});
}

TEST(Arguments, HelpIsAskedForInThreeWays) {
  for (const Words& words :
       {Words{"help"}, Words{"--help"}, Words{"help", "load"}, Words{"load", "--help"}}) {
    const auto out = parse_arguments(words);
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().exit_code, 0);
    EXPECT_NE(out.error().text.find(words.size() == 2 ? "--explain" : "serve"), std::string::npos);
  }
  EXPECT_NE(refused({}).find("serve"), std::string::npos);
}

TEST(Arguments, WrongUsageSaysWhatIsWrong) {
  EXPECT_EQ(refused({"laod", "tiny"}),
            "ingle: there is no command 'laod'; did you mean 'load'? (`ingle help` lists them)\n");
  EXPECT_EQ(refused({"unload"}), "ingle: name the model to unload, or give --all\n");
  EXPECT_NE(refused({"unload", "a", "--all"}).find("exclude"), std::string::npos);
  EXPECT_EQ(refused({"serve", "--set", "port"}), "ingle: --set takes KEY=VALUE, got 'port'\n");
  EXPECT_NE(refused({"run"}).find("model"), std::string::npos);
  EXPECT_NE(refused({"run", "a", "--temperature", "9"}).find("temperature"), std::string::npos);
  EXPECT_NE(refused({"run", "a", "b", "c"}).find("c"), std::string::npos);
  EXPECT_NE(refused({"ls", "--jsn"}).find("--jsn"), std::string::npos);
  EXPECT_NE(refused({"logs", "--level", "loud"}).find("level"), std::string::npos);
  EXPECT_NE(refused({"show", "a", "--json", "--raw"}).find("exclude"), std::string::npos);
  refused({"config"});
  refused({"keys"});
  refused({"-x"});
}

}  // namespace
}  // namespace ingle::cli
