#include "gateway/access/permission.h"

namespace mmsmo::access {
namespace {

constexpr Permission kAll[] = {Permission::kRead, Permission::kConsume, Permission::kManage,
                               Permission::kQuarantine, Permission::kAdmin};

}  // namespace

std::string_view NameOf(Permission permission) {
  switch (permission) {
    case Permission::kRead:
      return "read";
    case Permission::kConsume:
      return "consume";
    case Permission::kManage:
      return "manage";
    case Permission::kQuarantine:
      return "quarantine";
    case Permission::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Permission> ParsePermission(std::string_view name) {
  for (const Permission permission : kAll) {
    if (NameOf(permission) == name) return permission;
  }
  return std::nullopt;
}

}  // namespace mmsmo::access
