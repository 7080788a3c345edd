// The configuration file, parsed.

#pragma once

#define TOML_HEADER_ONLY 0
#include <toml++/toml.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mmsmo {

// InvalidArgument names the file, and the line where it is not TOML.
absl::StatusOr<toml::table> ReadTomlFile(const std::string& file);

// A string, an integer or a boolean as it would stand on the command line; nothing for the others.
std::optional<std::string> TextOfToml(const toml::node& value);

// The value, on one line, of which TextOfToml gives `text`.
std::string TomlOfText(std::string_view text);

}  // namespace mmsmo
