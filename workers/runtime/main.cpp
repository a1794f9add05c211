// ingle-diffusion: the picture worker (worker.h).
#include "runtime/load_model.h"

int main(int count, char** arguments) {
  return ingle::runtime::run_worker(count, arguments, ingle::runtime::make_model_loader);
}
