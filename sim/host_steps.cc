#include "sim/host_steps.h"

#include <algorithm>

#include "sched/route.h"

namespace shardlab {

HostSteps::HostSteps(const Cluster& cluster) : node_of_(nodes_of(cluster)), hosts_(1) {
  for (const std::uint16_t node : node_of_) {
    hosts_.resize(std::max<std::size_t>(hosts_.size(), node + std::size_t{1}));
  }
}

void HostSteps::expect(const Transfer& transfer, Duration takes) {
  gradients_.resize(std::max<std::size_t>(gradients_.size(), transfer.id + std::size_t{1}));
  gradients_[transfer.id] = {transfer.device, takes, true};
}

void HostSteps::start(TransferId id, Instant from, Instant now) {
  Gradient& gradient = gradients_[id];
  gradient.expected = false;
  Host& host = hosts_[node_of_.empty() ? 0 : node_of_[index(gradient.device)]];
  host.steps.push_back({{id, from, now, {}}, gradient.device, gradient.takes});
  if (host.steps.size() == 1) begin(host, now);
}

void HostSteps::begin(Host& host, Instant now) {
  host.steps.front().done.step_from = now;
  host.ends = now + host.steps.front().takes;
}

Instant HostSteps::next() const {
  Instant next = kNever;
  for (const Host& host : hosts_) {
    if (!host.steps.empty()) next = std::min(next, host.ends);
  }
  return next;
}

/// One of each host: what takes no time ends in another round.
void HostSteps::end(Instant now) {
  ended_.clear();
  for (Host& host : hosts_) {
    if (host.steps.empty() || host.ends > now) continue;
    if (!host.steps.front().lost) ended_.push_back(host.steps.front().done);
    host.steps.pop_front();
    if (!host.steps.empty()) begin(host, now);
  }
}

void HostSteps::lose(DeviceId device) {
  for (Gradient& gradient : gradients_) {
    if (gradient.device == device) gradient.expected = false;
  }
  for (Host& host : hosts_) {
    if (host.steps.empty()) continue;
    const auto of_device = [&](const Step& step) { return step.device == device; };
    if (of_device(host.steps.front())) host.steps.front().lost = true;
    host.steps.erase(std::remove_if(host.steps.begin() + 1, host.steps.end(), of_device),
                     host.steps.end());
  }
}

}  // namespace shardlab
