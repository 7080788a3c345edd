// Every setting: as a flag, as an environment variable and as a key of the configuration file, from
// one declaration.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/access/endpoint.h"
#include "gateway/access/identity.h"
#include "gateway/access/proxies.h"
#include "gateway/tls/files.h"
#include "mmsmo/v1/subscription.pb.h"

namespace mmsmo {

// Validated once, then constant. Durations are in milliseconds, 0 where it says "no limit".
struct Config {
  std::string http_listen = "127.0.0.1:8080";
  tls::Files http_tls;
  std::string http_path = "/postbacks/mms-mo";
  std::string endpoint = "mms-mo";
  access::TrustedProxies trusted_proxies;
  bool http_proxy_protocol = false;
  int http_threads = 0;  // 0: one a core, at most 4
  uint64_t max_body_bytes = 256 << 10;
  uint64_t max_header_bytes = 8 << 10;
  uint64_t max_in_flight_bytes = 64 << 20;
  int max_connections = 10'000;
  int max_connections_per_address = 0;
  int64_t header_timeout = 0;
  int64_t body_timeout = 0;
  int64_t idle_timeout = 0;
  int64_t write_timeout = 0;

  std::string grpc_listen = "127.0.0.1:9090";
  tls::Files grpc_tls;
  uint32_t grpc_socket_mode = 0;
  int delivery_threads = 0;  // 0: one a core, at most 4
  int64_t heartbeat_interval = 0;
  int max_grpc_connections = 10'000;
  int max_grpc_connections_per_address = 0;
  int max_streams = 20'000;
  int max_streams_per_connection = 4'096;
  int max_calls = 10'000;
  uint64_t max_call_bytes = 64 << 20;
  uint64_t max_frame_bytes = 32 << 20;
  bool health_open = true;
  std::string reflection_open = "auto";  // or "true", "false"

  std::string admin_listen = "127.0.0.1:9091";
  tls::Files admin_tls;

  std::string data_dir = "data";
  bool keep_raw = true;
  int64_t retention_age = 0;
  uint64_t retention_bytes = 0;
  uint64_t newest_bytes = 16 << 20;
  int64_t resume_window = 0;
  uint64_t dead_letters_count = 1'000'000;
  uint64_t dead_letters_bytes = 1 << 30;
  int64_t quarantine_age = 0;
  uint64_t quarantine_rejected_count = 10'000;
  uint64_t quarantine_rejected_bytes = 64 << 20;
  uint64_t quarantine_not_mms_mo_count = 10'000;
  uint64_t quarantine_not_mms_mo_bytes = 64 << 20;
  uint64_t quarantine_kept_count = 100'000;
  uint64_t quarantine_kept_bytes = 512 << 20;
  int64_t audit_age = 0;
  uint64_t audit_bytes = 16 << 20;

  int64_t drain_timeout = 0;
  int64_t drain_grace = 0;
  std::string log_level = "info";
  int access_log_rate = 0;
  std::string log_format = "auto";

  // Whether listeners may be open to all who can reach them.
  std::string insecure = "false";  // as it was given; the next two are what it means
  bool insecure_http = false;
  bool insecure_grpc = false;

  // In a temporary directory, for this machine only, until standard input ends.
  bool ephemeral = false;

  // Every setting in force as it was written, by its name.
  std::map<std::string, std::string> texts;

  // Of the file's [[endpoint]] tables, and the one of http_path; at least one.
  std::vector<access::EndpointSettings> endpoints;
  // Of the file's [[subscription]] tables.
  std::vector<v1::Subscription> subscriptions;
  // Of its [[identity]] tables.
  std::vector<access::IdentitySettings> identities;
};

// What the command line asks for: to run with a configuration, or to print something and end.
struct CommandLine {
  Config config;
  bool exit = false;
  int exit_code = 0;  // with exit
  std::string print;  // with exit; to stdout when exit_code is 0, else to stderr
};

// Reads flags, then the environment, then the file that --config names: the first that has a
// setting wins.
CommandLine ParseCommandLine(int argc, const char* const* argv);

}  // namespace mmsmo
