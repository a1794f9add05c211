// A blocking HTTP/1.1 client on bare sockets for the benchmarks, so small that it is never what is
// measured. One connection a request. Ends the program with a message when anything fails.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingle::bench {

// "tcp:PORT" on 127.0.0.1 or "unix:PATH", and the Bearer key it wants ("": none).
struct Target {
  std::string name;
  std::string address;
  std::string key;
};

[[noreturn]] void give_up(const std::string& why);

// Now, on the monotonic clock, in milliseconds.
double now_ms();

double median(std::vector<double> values);
double percentile(std::vector<double> values, double share);

// A connected socket, or -1 when nobody listens.
int try_connect(const std::string& address);

// Connects and sends one request. Returns the socket.
int send_request(const Target& target, std::string_view method, std::string_view path,
                 std::string_view body);

// The whole answer of a request whose connection the server closes.
std::string fetch(const Target& target, std::string_view method, std::string_view path,
                  std::string_view body = {});

// Reads from `socket` until `mark` has come or the server closes; true when it came.
bool read_until(int socket, std::string_view mark, std::string& into);

}  // namespace ingle::bench
