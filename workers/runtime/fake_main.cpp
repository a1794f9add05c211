// ingle-fake-diffusion: the picture worker without a model (fake_pipeline.h), for tests.
#include "runtime/fake_pipeline.h"
#include "runtime/worker.h"

int main(int count, char** arguments) {
  using namespace ingle::runtime;
  return run_worker(count, arguments,
                    [](const WorkerArguments& parsed) { return make_fake_loader(parsed.model); });
}
