#include "client/command/filter_options.h"

#include <cctype>

namespace mmsmo::command {

void AddFilterOptions(CLI::App* app, FilterOptions* options) {
  CLI::Option_group* filter = app->add_option_group("Filter", "only events with one of the given");
  filter->add_option("--recipient", options->recipients, "as sent, or +…");
  filter->add_option("--sender", options->senders, "as sent, or +…");
  filter->add_option("--keyword", options->keywords, "in any case");
  filter->add_option("--operator-id", options->operator_ids);
  filter->add_option("--media-kind", options->media_kinds)
      ->check(
          CLI::IsMember({"image", "video", "audio", "text", "smil", "other"}, CLI::ignore_case));
}

v1::Filter FilterOf(const FilterOptions& options) {
  v1::Filter filter;
  filter.mutable_recipients()->Assign(options.recipients.begin(), options.recipients.end());
  filter.mutable_senders()->Assign(options.senders.begin(), options.senders.end());
  filter.mutable_keywords()->Assign(options.keywords.begin(), options.keywords.end());
  filter.mutable_operator_ids()->Assign(options.operator_ids.begin(), options.operator_ids.end());
  for (std::string name : options.media_kinds) {
    v1::MediaKind kind = v1::MEDIA_KIND_UNSPECIFIED;
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    v1::MediaKind_Parse("MEDIA_KIND_" + name, &kind);
    filter.add_media_kinds(kind);
  }
  return filter;
}

}  // namespace mmsmo::command
