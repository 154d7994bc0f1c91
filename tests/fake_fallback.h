#pragma once

#include <vector>

namespace c10 {
class OperatorHandle;
struct IValue;
}  // namespace c10

namespace shardlab::fake {

/// Runs the CPU's kernel of any operator on the current stream, on the arguments as they are when
/// it runs. The host goes on at once if the shapes of the results can be known before, from a run
/// on zeros; else it waits.
void fallback(const c10::OperatorHandle& op, std::vector<c10::IValue>* stack);

}  // namespace shardlab::fake
