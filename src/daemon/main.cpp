#include "cli/cli.h"
#include "daemon/serve.h"

int main(int argc, char** argv) {
  return ingle::cli::run(argc, argv, {.version = INGLE_VERSION, .serve = ingle::daemon::serve});
}
