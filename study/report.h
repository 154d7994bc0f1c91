#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "report/table.h"
#include "study/study.h"

namespace shardlab {

/// A table of a report, with what it shows.
struct StudySection {
  std::string title, text;
  TextTable table;
};

/// Per policy over all settings; per setting the best and who ties with it; what others published
/// beside what was found.
std::vector<StudySection> overview(const Study& study);

/// Per kind of jobs and devices every policy in every setting: its gap over the lower bound, and
/// its difference from the baseline.
std::vector<StudySection> details(const Study& study);

/// For a terminal: overviews.
std::string study_text(const std::vector<Study>& studies);

/// A page with all tables; `origin` says how it was made: command, version, seed, hashes.
std::string study_markdown(const std::vector<Study>& studies, const std::string& origin);

/// The same as `table`s to be put into a document; `origin` is a comment.
std::string study_latex(const std::vector<Study>& studies, const std::string& origin);

/// One object per policy and setting, all of the same keys: for CSV.
nlohmann::ordered_json study_rows(const std::vector<Study>& studies);

/// {"seed", "grids", "rows"}: every makespan and lower bound too.
nlohmann::ordered_json study_json(const std::vector<Study>& studies);

}  // namespace shardlab
