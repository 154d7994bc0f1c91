#pragma once

#include <string>
#include <vector>

#include "study/report.h"

namespace shardlab {

/// "3.1", without the sign; never "-0.0".
std::string percent(double fraction);
/// "+3.1", "0.0", "-0.2".
std::string signed_percent(double fraction);

/// What wins where, each policy with the slots that suit it best.
StudySection short_section(const Study& study);

/// What slots do to each policy. Of a study that varies them.
StudySection slots_section(const Study& study);

/// Every policy by transfer, with the slots that suit it best.
StudySection transfer_section(const Study& study);

/// Slots can be chosen in some setting.
bool varies_slots(const Study& study);

}  // namespace shardlab
