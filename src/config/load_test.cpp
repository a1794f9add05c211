// Goal: every layer and every kind of error of the configuration, and what `config show` lists.
// Method: load() over texts, variables and flags given by hand; nothing of the machine is read.
#include <gtest/gtest.h>

#include <format>

#include "base/near_names.h"
#include "config/config.h"
#include "config/keys.h"

namespace ingle::config {
namespace {

using base::ErrorCode;
using Layer = Origin::Layer;

Sources file(std::string text) {
  return {.toml_path = "/home/ada/ingle.toml", .toml_text = std::move(text)};
}

const Entry& entry(const Loaded& loaded, std::string_view key) {
  for (const auto& one : loaded.entries)
    if (one.key == key) return one;
  ADD_FAILURE() << "no key " << key;
  return loaded.entries.front();
}

std::string error_of(const Sources& sources) {
  const auto loaded = load(sources);
  if (!loaded)
    return std::string(base::error_code_name(loaded.error().code)) + ": " + loaded.error().message;
  ADD_FAILURE() << "loaded without an error";
  return "";
}

std::string variable_error(std::string name, std::string value) {
  return error_of({.environment = {{std::move(name), std::move(value)}}});
}

std::string set_error(std::string key, std::string value) {
  return error_of({.flags = {{"--set " + key, key, std::move(value)}}});
}

TEST(Config, DefaultsAloneAreValid) {
  const auto loaded = load({});
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->values.server.port, 46453);
  EXPECT_EQ(loaded->values.server.host, "127.0.0.1");
  for (const auto& one : loaded->entries) {
    EXPECT_EQ(one.origin.layer, Layer::default_value) << one.key;
    EXPECT_FALSE(one.doc.empty()) << one.key;
  }
}

TEST(Config, LaterLayersWin) {
  auto sources = file("[server]\nport = 1\nhost = \"127.0.0.2\"\n\n[log]\nlevel = \"debug\"\n");
  sources.environment = {{"INGLE_SERVER_PORT", "2"}, {"INGLE_LOG_LEVEL", "trace"}};
  sources.flags = {{"--port", "server.port", "3"}, {"--set server.port", "server.port", "4"}};
  const auto loaded = load(sources);
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->values.server.port, 4);
  EXPECT_EQ(entry(*loaded, "server.port").origin.layer, Layer::flag);
  EXPECT_EQ(entry(*loaded, "server.port").origin.detail, "--set server.port");
  EXPECT_EQ(loaded->values.log.level, "trace");
  EXPECT_EQ(entry(*loaded, "log.level").origin.layer, Layer::environment);
  EXPECT_EQ(entry(*loaded, "log.level").origin.detail, "INGLE_LOG_LEVEL");
  EXPECT_EQ(loaded->values.server.host, "127.0.0.2");
  EXPECT_EQ(entry(*loaded, "server.host").origin.layer, Layer::file);
  EXPECT_EQ(entry(*loaded, "server.host").origin.detail, "ingle.toml:3");
}

TEST(Config, ReadsEveryTypeFromTheFile) {
  const auto loaded =
      load(file("server.require_key = true\n"
                "[server]\n"
                "allowed_hosts = [\"a\", \"b\"]\nbody_bytes_max = \"1.5MiB\"\n"
                "[models]\nkeep_alive = \"-1\"\n[text]\n"));
  ASSERT_FALSE(loaded) << "a table that is defined twice is not TOML";
  const auto mended =
      load(file("[server]\nrequire_key = true\nallowed_hosts = [\"a\", \"b\"]\n"
                "body_bytes_max = \"1.5MiB\"\n[models]\nkeep_alive = \"-1\"\n[text]\n"));
  ASSERT_TRUE(mended) << mended.error().text();
  EXPECT_TRUE(mended->values.server.require_key);
  EXPECT_EQ(mended->values.server.allowed_hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(mended->values.server.body_bytes_max, 3 << 19);
  EXPECT_EQ(mended->values.models.keep_alive, "-1");
}

TEST(Config, VariablesAreBareText) {
  const auto loaded = load({.environment = {{"INGLE_MODELS_FOLDERS", "/a b, /c,,"},
                                            {"INGLE_SERVER_REQUIRE_KEY", "1"},
                                            {"INGLE_LOG_FORMAT", "json"},
                                            {"INGLE_LOG_FILE_BYTES_MAX", "1M"},
                                            {"INGLE_HOME", "/x"},
                                            {"INGLE_API_KEY", "secret"},
                                            {"INGLE_URL", "http://127.0.0.1:1"},
                                            {"INGLE_DEV_CACHE", "y"},
                                            {"INGLE_TEST_SEED", "z"},
                                            {"INGLE_BUILD_NAME", "n"},
                                            {"PATH", "/bin"}}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->values.models.folders, (std::vector<std::string>{"/a b", "/c"}));
  EXPECT_TRUE(loaded->values.server.require_key);
  EXPECT_EQ(loaded->values.log.format, "json");
  EXPECT_EQ(loaded->values.log.file_bytes_max, 1 << 20);
}

TEST(Config, FlagsTakeTomlAndBareText) {
  const auto loaded = load({.flags = {{"--host", "server.host", "1234"},
                                      {"--set", "log.level", "\"debug\""},
                                      {"--set", "models.folders", "[\"/a,b\", \"/c\"]"},
                                      {"--set", "server.allowed_hosts", "x.example, y.example"},
                                      {"--set", "server.require_key", "true"},
                                      {"--drain-timeout", "server.drain_timeout", "250ms"}}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->values.server.host, "1234");
  EXPECT_EQ(loaded->values.log.level, "debug");
  EXPECT_EQ(loaded->values.models.folders, (std::vector<std::string>{"/a,b", "/c"}));
  EXPECT_EQ(loaded->values.server.allowed_hosts,
            (std::vector<std::string>{"x.example", "y.example"}));
  EXPECT_TRUE(loaded->values.server.require_key);
  EXPECT_EQ(loaded->values.server.drain_timeout, "250ms");
}

TEST(Config, ErrorsOfTheFileSayTheLine) {
  EXPECT_EQ(error_of(file("[server]\n\nprot = 1\n")),
            "invalid_argument: /home/ada/ingle.toml:3: unknown key 'server.prot'; did you mean "
            "'server.port'?");
  EXPECT_EQ(error_of(file("colour = 1\n")),
            "invalid_argument: /home/ada/ingle.toml:1: unknown key 'colour'; `ingle config show` "
            "lists every key");
  EXPECT_EQ(error_of(file("[sever]\nport = 1\n")),
            "invalid_argument: /home/ada/ingle.toml:2: unknown key 'sever.port'; did you mean "
            "'server.port'?");
  EXPECT_EQ(error_of(file("[server]\nport = \"x\"\n")),
            "invalid_argument: /home/ada/ingle.toml:2: server.port must be a whole number, got the "
            "text \"x\"");
  EXPECT_EQ(error_of(file("[server]\nhost = 1.5\n")),
            "invalid_argument: /home/ada/ingle.toml:2: server.host must be text, got the number "
            "1.5");
  EXPECT_EQ(error_of(file("[models]\nfolders = [1]\n")),
            "invalid_argument: /home/ada/ingle.toml:2: models.folders must be a list of texts, got "
            "a list with a number in it");
  EXPECT_EQ(error_of(file("[text.threads]\n")),
            "invalid_argument: /home/ada/ingle.toml:1: text.threads must be a whole number, got a "
            "table");
  EXPECT_EQ(
      error_of(file("[text.threads]\nall = 1\n")),
      "invalid_argument: /home/ada/ingle.toml:2: unknown key 'text.threads.all'; did you mean "
      "'text.threads'?");
  EXPECT_EQ(error_of(file("server = 3\n")).substr(0, 47),
            "invalid_argument: /home/ada/ingle.toml:1: unkno");
  EXPECT_TRUE(error_of(file("[server]\nport = 1\nport = 2\n"))
                  .starts_with("malformed: /home/ada/ingle.toml:3: not TOML: "));
  EXPECT_TRUE(error_of(file("[server]\nhost = \"\xff\"\n")).starts_with("malformed: "));
}

TEST(Config, ErrorsOfVariablesAndFlagsNameThem) {
  EXPECT_EQ(variable_error("INGLE_SERVER_PROT", "1"),
            "invalid_argument: unknown variable INGLE_SERVER_PROT in the environment; did you mean "
            "'INGLE_SERVER_PORT'?");
  EXPECT_EQ(variable_error("INGLE_SERVER_PORT", ""),
            "invalid_argument: INGLE_SERVER_PORT: server.port must be a whole number, got \"\"");
  EXPECT_EQ(variable_error("INGLE_SERVER_PORT", "80x"),
            "invalid_argument: INGLE_SERVER_PORT: server.port must be a whole number, got "
            "\"80x\"");
  EXPECT_EQ(variable_error("INGLE_SERVER_REQUIRE_KEY", "yes"),
            "invalid_argument: INGLE_SERVER_REQUIRE_KEY: server.require_key must be true or false, "
            "got \"yes\"");
  EXPECT_EQ(set_error("server.nothing", "1").substr(0, 66),
            "invalid_argument: --set server.nothing: unknown key 'server.nothin");
  EXPECT_EQ(set_error("text.threads", "1\n2"),
            "invalid_argument: --set text.threads: text.threads must be a whole number, got "
            "\"1\\u000a2\"");
}

TEST(Config, ValuesOutOfRangeAreRefused) {
  struct Case {
    const char *key, *value, *says;
  };
  for (const auto& [key, value, says] : {
           Case{"server.port", "65536", "must be from 0 to 65535, got 65536"},
           Case{"server.host", "", "must not be empty"},
           Case{"server.drain_timeout", "soon", "is not a duration"},
           Case{"server.drain_timeout", "-1", "must end some time"},
           Case{"server.unix_path", "run/x.sock", "must be an absolute path"},
           Case{"models.folders", "models", "must have absolute paths"},
           Case{"models.folders", "[\"\"]", "must not have empty texts"},
           Case{"models.keep_alive", "5 fortnights", "is not a duration"},
           Case{"text.llama_server", "./llama-server", "must be a name or an absolute path"},
           Case{"text.load_timeout", "1ms", "must be at least 1.0 s"},
           Case{"log.level", "loud", "must be one of trace, debug, info, warning, error; got"},
           Case{"log.format", "xml", "must be one of auto, text, json; got"},
           Case{"log.file_bytes_max", "1", "must be from 65536 to"},
           Case{"log.file_bytes_max", "big", "'big' is not a size"},
       })
    EXPECT_NE(set_error(key, value).find(says), std::string::npos)
        << key << " = " << value << "\n  " << set_error(key, value);
  EXPECT_NE(set_error("server.unix_path", "/" + std::string(107, 'x')).find("at most 107 bytes"),
            std::string::npos);
}

// A number without a rule would take anything: whoever adds a key must think of its range.
TEST(Config, EveryNumberHasARange) {
  protocol::Config config;
  for (const auto& key : keys_of(config)) {
    if (!std::holds_alternative<std::int64_t*>(key.target)) continue;
    EXPECT_FALSE(load({.flags = {{"--set", key.name, "-1"}}})) << key.name;
    EXPECT_FALSE(load({.flags = {{"--set", key.name, "9223372036854775807"}}})) << key.name;
  }
}

TEST(Config, NearNamesAreNearestFirst) {
  const std::vector<std::string> names{"server.port", "server.host", "text.parallel", "log.level"};
  EXPECT_EQ(base::near_names("server.prot", names), (std::vector<std::string>{"server.port"}));
  EXPECT_EQ(base::near_names("port", names), (std::vector<std::string>{"server.port"}));
  EXPECT_EQ(base::near_names("LOG.LEVEL", names), (std::vector<std::string>{"log.level"}));
  EXPECT_TRUE(base::near_names("zzz", names).empty());
  EXPECT_TRUE(base::near_names("", names).empty());
  EXPECT_TRUE(base::near_names(std::string(65, 's'), names).empty());
}

TEST(Config, ListsEveryKeyInOrder) {
  auto sources = file("[models]\nfolders = [\"/srv/models\"]\n");
  sources.environment = {{"INGLE_LOG_LEVEL", "debug"}};
  sources.flags = {{"--port", "server.port", "0"}};
  const auto loaded = load(sources);
  ASSERT_TRUE(loaded) << loaded.error().text();
  std::string listing;
  for (const auto& one : loaded->entries)
    listing += std::format("{} = {} # {} {}\n", one.key, one.value,
                           static_cast<int>(one.origin.layer), one.origin.detail);
  EXPECT_EQ(listing, R"(server.host = "127.0.0.1" # 0 
server.port = 0 # 3 --port
server.unix_path = "" # 0 
server.allowed_hosts = [] # 0 
server.allowed_origins = [] # 0 
server.require_key = false # 0 
server.connections_max = 512 # 0 
server.body_bytes_max = 67108864 # 0 
server.drain_timeout = "10s" # 0 
models.folders = ["/srv/models"] # 1 ingle.toml:2
models.keep_alive = "5m" # 0 
models.preload = [] # 0 
models.starter = true # 0 
text.llama_server = "" # 0 
text.threads = 0 # 0 
text.context_tokens = 0 # 0 
text.context_tokens_min = 0 # 0 
text.context_tokens_max = 0 # 0 
text.parallel = 0 # 0 
text.load_timeout = "10m" # 0 
text.sandbox = true # 0 
images.worker = "" # 0 
images.threads = 0 # 0 
images.precision = "bf16" # 0 
images.executor = "auto" # 0 
images.yield_after = "3s" # 0 
images.gallery = "" # 0 
images.parts = [] # 0 
images.format = "png" # 0 
images.quality = 90 # 0 
memory.ram_budget = 0 # 0 
memory.vram_budget = 0 # 0 
memory.ram_margin = 1073741824 # 0 
memory.vram_margin = 536870912 # 0 
memory.kv_disk = 4294967296 # 0 
memory.put_back = true # 0 
memory.guard = true # 0 
queue.longest_wait = "30s" # 0 
queue.shortest_residency = "2s" # 0 
queue.waiting_max = 256 # 0 
log.level = "debug" # 2 INGLE_LOG_LEVEL
log.format = "auto" # 0 
log.file_bytes_max = 10485760 # 0 
log.files_max = 5 # 0 
log.ring_records_max = 2000 # 0 
)");
}

// What is shown can be put back into a file and means the same.
TEST(Config, ShownValuesAreToml) {
  const auto loaded = load(
      {.flags = {{"--set", "server.host", "a\"b\\c\x01"}, {"--set", "models.folders", "/a, /b"}}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  std::string text;
  for (const auto& one : loaded->entries) text += one.key + " = " + one.value + "\n";
  const auto again = load(file(text));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->values.server.host, "a\"b\\c\x01");
  EXPECT_EQ(again->values.models.folders, (std::vector<std::string>{"/a", "/b"}));
}

}  // namespace
}  // namespace ingle::config
