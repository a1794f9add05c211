// run: one answer to a prompt, or a chat.
#include <unistd.h>

#include <cerrno>

#include "cli/chat_reader.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/interrupt.h"
#include "insight/escape.h"
#include "platform/asio_loop.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

using protocol::Json;

constexpr std::size_t kPromptMax = 16 << 20;
constexpr std::string_view kHelp =
    "/clear  forget the conversation\n"
    "/exit   end (so does Ctrl-D)\n"
    "/help   this list\n"
    "Ctrl-C stops an answer.\n";

Json message(std::string_view role, std::string text) {
  return Json::Object{{"role", std::string(role)}, {"content", std::move(text)}};
}

std::string request_body(const RunArguments& arguments, const Json::Array& messages) {
  Json body = Json::Object{{"model", arguments.model},
                           {"messages", messages},
                           {"stream", true},
                           {"stream_options", Json::Object{{"include_usage", true}}}};
  if (arguments.temperature) body.set("temperature", *arguments.temperature);
  if (arguments.max_tokens) body.set("max_tokens", *arguments.max_tokens);
  if (arguments.seed) body.set("seed", *arguments.seed);
  return protocol::print_json(body);
}

// Prints one answer as it comes: content on stdout, progress and figures on stderr.
class Printer {
 public:
  explicit Printer(const Terminal& terminal) : terminal_(terminal), begin_(clock_.mono_now()) {}

  ChatReader::Sinks sinks() {
    return {.on_content = [this](std::string_view text) { print(text, Part::content); },
            .on_reasoning = [this](std::string_view text) { print(text, Part::reasoning); },
            .on_progress = [this](std::string_view text) { progress(text); }};
  }

  // Ends the last line and style.
  void finish() {
    clear_progress();
    if (part_ == Part::none) return;
    if (terminal_.out) print_out(filter_.finish());
    leave_part();
    print_out("\n");
  }

  void print_figures(const ChatFigures& figures) const {
    const auto now = clock_.mono_now();
    const auto since = [&](base::MonoTime time) {
      return std::chrono::duration_cast<base::Micros>(time - begin_);
    };
    const auto text = figures_text(figures, since(first_.value_or(now)), since(now));
    print_err(styled(text, Style::dim, terminal_.err_colour) + "\n");
  }

 private:
  enum class Part { none, reasoning, content };

  void print(std::string_view text, Part part) {
    if (!first_) first_ = clock_.mono_now();
    clear_progress();
    if (part != part_) {
      if (part_ == Part::reasoning) {
        leave_part();
        print_out("\n\n");
      }
      if (part == Part::reasoning && terminal_.out_colour) print_out("\x1b[2m");
      part_ = part;
    }
    print_out(terminal_.out ? filter_.pass(text) : std::string(text));
  }

  void leave_part() const {
    if (part_ == Part::reasoning && terminal_.out_colour) print_out("\x1b[0m");
  }

  // One line that is written over.
  void progress(std::string_view text) {
    if (!terminal_.err) return;
    print_err("\r\x1b[K" + insight::escape_line(text));
    progress_shown_ = true;
  }

  void clear_progress() {
    if (std::exchange(progress_shown_, false)) print_err("\r\x1b[K");
  }

  const Terminal& terminal_;
  const platform::SystemClock clock_;
  const base::MonoTime begin_;
  std::optional<base::MonoTime> first_;
  TextFilter filter_;
  Part part_ = Part::none;
  bool progress_shown_ = false;
};

struct Answer {
  base::Status status;
  std::string content;
  bool interrupted = false;
};

Answer ask(const DaemonClient& client, const RunArguments& arguments, const Json::Array& messages,
           const Terminal& terminal) {
  Printer printer(terminal);
  ChatReader reader(printer.sinks());
  auto status = client.stream(
      "/v1/chat/completions", request_body(arguments, messages),
      [&](std::string_view piece) { return reader.feed(piece); }, &InterruptGuard::pressed);
  printer.finish();
  if (InterruptGuard::take())
    return {.status = {}, .content = reader.content(), .interrupted = true};
  if (status) status = reader.end();
  if (status) printer.print_figures(reader.figures());
  return {.status = std::move(status), .content = reader.content()};
}

enum class Input { line, end, interrupted };

// Reads up to a newline; what follows it stays in `buffer` for the next call.
Input read_line(std::string& buffer, std::string& line) {
  while (true) {
    if (const auto end = buffer.find('\n'); end != std::string::npos) {
      line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return Input::line;
    }
    char piece[4096];
    const auto count = ::read(STDIN_FILENO, piece, sizeof piece);
    if (count < 0 && errno == EINTR) {
      buffer.clear();
      return Input::interrupted;
    }
    if (count <= 0 || buffer.size() > kPromptMax) return Input::end;
    buffer.append(piece, static_cast<std::size_t>(count));
  }
}

base::Result<std::string> read_all() {
  std::string out;
  char piece[65536];
  while (true) {
    const auto count = ::read(STDIN_FILENO, piece, sizeof piece);
    if (count < 0 && errno == EINTR && !InterruptGuard::pressed()) continue;
    if (count < 0) return base::fail(base::errno_error(errno, "cannot read the prompt from stdin"));
    if (count == 0) return out;
    out.append(piece, static_cast<std::size_t>(count));
    if (out.size() > kPromptMax)
      return base::fail(base::ErrorCode::limit_exceeded, "the prompt is over 16 MiB long");
  }
}

int answer_once(const DaemonClient& client, const RunArguments& arguments, Json::Array messages,
                std::string prompt, const Terminal& terminal) {
  messages.push_back(message("user", std::move(prompt)));
  const auto answer = ask(client, arguments, messages, terminal);
  if (answer.interrupted) return kInterruptedCode;
  return answer.status ? 0 : print_error(answer.status.error());
}

int chat(const DaemonClient& client, const RunArguments& arguments, const Json::Array& first,
         const Terminal& terminal) {
  Json::Array messages = first;
  std::string buffer, line;
  print_err("Chatting with " + insight::escape_line(arguments.model) + "; /help lists commands.\n");
  while (true) {
    print_out(styled(">>> ", Style::bold, terminal.out_colour));
    const auto input = read_line(buffer, line);
    if (input == Input::interrupted) {
      InterruptGuard::take();
      print_out("\n");
      print_err("Ctrl-D or /exit ends.\n");
      continue;
    }
    if (input == Input::end) {
      print_out("\n");
      return 0;
    }
    if (line == "/exit" || line == "/quit") return 0;
    if (line == "/help") {
      print_err(kHelp);
    } else if (line == "/clear") {
      messages = first;
    } else if (line.starts_with('/') && !line.contains(' ')) {
      print_err("There is no command " + insight::escape_line(line) + "; /help lists them.\n");
    } else if (!line.empty()) {
      messages.push_back(message("user", line));
      const auto answer = ask(client, arguments, messages, terminal);
      if (!answer.status) print_error(answer.status.error());
      // A turn without any answer is taken back; a stopped one stays as far as it came.
      if (answer.status && !answer.content.empty())
        messages.push_back(message("assistant", answer.content));
      else
        messages.pop_back();
    }
  }
}

}  // namespace

int run_model(const RunArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  Json::Array first;
  if (arguments.system) first.push_back(message("system", *arguments.system));
  const InterruptGuard guard;
  if (arguments.prompt)
    return answer_once(*client, arguments, std::move(first), *arguments.prompt, around.terminal);
  if (around.terminal.in) return chat(*client, arguments, first, around.terminal);
  auto prompt = read_all();
  if (!prompt) return InterruptGuard::take() ? kInterruptedCode : print_error(prompt.error());
  return answer_once(*client, arguments, std::move(first), *std::move(prompt), around.terminal);
}

}  // namespace ingle::cli
