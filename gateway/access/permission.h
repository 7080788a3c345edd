// What an identity may be allowed to do.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mmsmo::access {

enum class Permission : uint8_t {
  kRead,        // events by position: Get, List, GetRawPostback, Subscribe
  kConsume,     // a subscription's deliveries and their acknowledgement, and how it stands
  kManage,      // subscriptions themselves, and their dead letters
  kQuarantine,  // what was kept without being published
  kAdmin,       // all of these, and everything else
};

// As it stands in the configuration: "read", say.
std::string_view NameOf(Permission permission);
std::optional<Permission> ParsePermission(std::string_view name);
// Of all of them, for messages.
inline constexpr std::string_view kPermissionNames = "read, consume, manage, quarantine, admin";

class Permissions {
 public:
  void Add(Permission permission) { bits_ |= Bit(permission); }
  // Whether it is among them, or admin is.
  bool Contains(Permission permission) const {
    return (bits_ & (Bit(permission) | Bit(Permission::kAdmin))) != 0;
  }

 private:
  static uint8_t Bit(Permission permission) {
    return static_cast<uint8_t>(1U << static_cast<unsigned>(permission));
  }
  uint8_t bits_ = 0;
};

}  // namespace mmsmo::access
