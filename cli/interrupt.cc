#include "cli/interrupt.h"

#include <csignal>

namespace shardlab {
namespace {

// A signal handler can reach nothing else.
std::atomic<bool> stop_wanted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void set_handlers(void (*handler)(int)) {
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
}

extern "C" void on_interrupt(int) {
  stop_wanted = true;
  set_handlers(SIG_DFL);
}

}  // namespace

Interrupt::Interrupt() {
  stop_wanted = false;
  set_handlers(on_interrupt);
}

Interrupt::~Interrupt() { set_handlers(SIG_DFL); }

const std::atomic<bool>& Interrupt::stop() const { return stop_wanted; }

}  // namespace shardlab
