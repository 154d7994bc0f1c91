// A driver and NVML for tests: two devices, which NVML counts the other way round.
#include <cstdio>
#include <cstring>
#include <unistd.h>

extern "C" {

int cuInit(unsigned) { return 0; }
int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return ordinal < 2 ? 0 : 101;
}
int cuDeviceGetPCIBusId(char* to, int size, int device) {
  std::snprintf(to, static_cast<std::size_t>(size), "0000:%02d:00.0", 10 + device);
  return 0;
}

int nvmlInit_v2() { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  static char first = 'a', second = 'b';
  *device = std::strcmp(bus, "0000:11:00.0") == 0 ? &second : &first;
  return 0;
}
static bool is_second(void* device) { return *static_cast<char*>(device) == 'b'; }

int nvmlDeviceGetClockInfo(void* device, unsigned kind, unsigned* megahertz) {
  *megahertz = kind == 2 ? 2619 : is_second(device) ? 1755 : 1980;
  return kind == 1 || kind == 2 ? 0 : 2;
}
int nvmlDeviceGetMaxClockInfo(void*, unsigned kind, unsigned* megahertz) {
  *megahertz = 1980;
  return kind == 1 ? 0 : 2;
}
int nvmlDeviceGetPerformanceState(void* device, unsigned* state) {
  *state = is_second(device) ? 2 : 0;
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* bits) {
  *bits = is_second(device) ? 0x4 | 0x20 : 0;
  return 0;
}
int nvmlDeviceGetTemperature(void*, unsigned sensor, unsigned* celsius) {
  *celsius = 41;
  return sensor == 0 ? 0 : 2;
}
int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = 312'400;
  return 0;
}
// No power limit: this function is missing in it.

struct Process {
  unsigned pid;
  unsigned long long memory;
  unsigned instance, compute_instance;
};
int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned* count, Process* to) {
  const unsigned found = is_second(device) ? 3 : 1;
  if (*count < found) return 7;
  to[0] = {static_cast<unsigned>(getpid()), 1, 0, 0};
  if (found == 3) to[1] = to[2] = {1, 1, 0, 0};
  *count = found;
  return 0;
}
}
