#pragma once

#include "policies/order_rows.h"

namespace shardlab {

/// Takes the units of an order as early as it allows, without any clock. Throws Error naming a row
/// that never comes, and what it waits for. Requires: every unit at most once, each where it may
/// run.
void refuse_what_never_comes(const OrderRows& rows);

}  // namespace shardlab
