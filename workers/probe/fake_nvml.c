// A stand-in for NVIDIA's libnvidia-ml.so.1, for tests: two cards, one with processes; noise on
// stdout, as drivers make it. FAKE_NVML tells how it fails: "hang", "crash", "broken".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct memory {
  unsigned long long total, free, used;
};
struct process {
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;
};

static int fails_by(const char* way) {
  const char* set = getenv("FAKE_NVML");
  return set != NULL && strcmp(set, way) == 0;
}

int nvmlInit_v2(void) {
  puts("{\"noise\": \"of a driver\"}");
  fflush(stdout);
  if (fails_by("hang")) pause();
  if (fails_by("crash")) abort();
  return fails_by("broken") ? 999 : 0;
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = (void*)(size_t)(index + 1);
  return 0;
}

int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  snprintf(name, length, "NVIDIA Fake %zu", (size_t)device);
  return 0;
}

int nvmlDeviceGetUUID(void* device, char* uuid, unsigned length) {
  snprintf(uuid, length, "GPU-%zu", (size_t)device);
  return 0;
}

int nvmlDeviceGetMemoryInfo(void* device, struct memory* memory) {
  const unsigned long long gib = 1ULL << 30;
  memory->total = 8 * gib * (size_t)device;
  memory->used = gib;
  memory->free = memory->total - gib;
  return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned* count, struct process* out) {
  const int first = (size_t)device == 1;
  *count = first ? 2 : 0;
  if (first) {
    out[0] = (struct process){.pid = 4242, .used_bytes = 1000};
    out[1] = (struct process){.pid = 4243, .used_bytes = ~0ULL};
  }
  return 0;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void* device, unsigned* count, struct process* out) {
  const int first = (size_t)device == 1;
  *count = first ? 1 : 0;
  if (first) out[0] = (struct process){.pid = 4242, .used_bytes = 3000};
  return 0;
}
