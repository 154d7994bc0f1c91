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

/// What wins where; per policy over all settings; what others published beside what was found; per
/// setting the best and who ties with it.
std::vector<StudySection> overview(const Study& study);

/// Every policy by transfer. Of a study of at most so many settings also every policy in every
/// setting, per kind of jobs and devices: its gap over the lower bound, its difference from the
/// baseline.
std::vector<StudySection> details(const Study& study, std::size_t most_settings);

/// Settings of which a page shows every policy.
constexpr std::size_t kMostOnPage = 24;

/// For a terminal: overviews.
std::string study_text(const std::vector<Study>& studies);

/// A page with all tables, but for every policy in every setting where these are more than
/// kMostOnPage; `origin` says how it was made: command, version, seed, hashes.
/// `csv`: where the page finds study_rows() as a file; empty: nowhere.
std::string study_markdown(const std::vector<Study>& studies, const std::string& origin,
                           const std::string& csv = "");

/// The same as `table`s to be put into a document; `origin` is a comment.
std::string study_latex(const std::vector<Study>& studies, const std::string& origin);

/// One object per policy and setting, all of the same keys: for CSV.
nlohmann::ordered_json study_rows(const std::vector<Study>& studies);

/// {"seed", "grids", "rows"}: every makespan and lower bound too.
nlohmann::ordered_json study_json(const std::vector<Study>& studies);

}  // namespace shardlab
