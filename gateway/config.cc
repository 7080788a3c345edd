#include "gateway/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>

#include "absl/strings/str_split.h"
#include "fmt/format.h"
#include "gateway/base/status.h"
#include "gateway/base/unix_socket.h"
#include "gateway/broker/page.h"
#include "gateway/declared_endpoints.h"
#include "gateway/declared_identities.h"
#include "gateway/declared_subscriptions.h"
#include "gateway/exposure.h"
#include "gateway/table_reader.h"
#include "version.h"

namespace mmsmo {
namespace {

constexpr uint64_t kMostBodyBytes = 1 << 20;

// Declares settings under their groups; the environment variable's name follows from the flag's.
class Settings {
 public:
  explicit Settings(CLI::App* app) : app_(app) {}

  void Group(std::string group) { group_ = std::move(group); }

  template <typename T>
  CLI::Option* Add(const std::string& name, T* value, const std::string& help) {
    return Named(app_->add_option("--" + name, *value, help)->capture_default_str(), name);
  }

  void Switch(const std::string& name, bool* value, const std::string& help) {
    Named(app_->add_option("--" + name, *value, help), name)
        ->default_str(*value ? "true" : "false")
        ->type_name("BOOL");
  }

  // A number of bytes, plain or with a unit: 512, 64KiB, 1GB.
  CLI::Option* Bytes(const std::string& name, uint64_t* value, uint64_t at_least,
                     const std::string& help) {
    return Measure(name, value, std::to_string(*value), CLI::AsSizeValue(/*kb_is_1000=*/false),
                   at_least, help)
        ->type_name("BYTES");
  }

  // A time with its unit; stored in milliseconds.
  void Duration(const std::string& name, int64_t* value, const std::string& otherwise,
                int64_t at_least, const std::string& help) {
    Measure(
        name, value, otherwise,
        CLI::AsNumberWithUnit(DurationUnits(), CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION"),
        at_least, help)
        ->type_name("DURATION");
  }

  // The permissions of a file, in octal. A number of TOML's would be decimal, and so has no 0.
  void Mode(const std::string& name, uint32_t* value, const std::string& otherwise,
            const std::string& help) {
    const auto from_octal = [](std::string& text) {
      uint32_t mode = 0;
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), mode, /*base=*/8);
      const bool whole = error == std::errc() && end == text.data() + text.size();
      if (!whole || !text.starts_with('0') || mode > 0777)
        return std::string("permissions are octal, such as 0660");
      text = std::to_string(mode);
      return std::string();
    };
    Measure(name, value, otherwise, CLI::Validator(from_octal, ""), 0, help)->type_name("MODE");
  }

  // A text that `read` takes, or says what is wrong with.
  CLI::Option* Check(const std::string& name, const std::string& otherwise, const std::string& help,
                     std::function<std::string(const std::string&)> read) {
    CLI::Option* option = app_->add_option("--" + name, help);
    option->check(CLI::Validator(std::move(read), "", ""))->default_str(otherwise);
    return Named(option, name);
  }

  CLI::Option* Flag(const std::string& name, std::string* value, const std::string& help) {
    return Named(app_->add_flag("--" + name + "{true}", *value, help), name);
  }

 private:
  // A number with a unit, which stays as it was written, so that --print-config gives it back;
  // `to_number` replaces it by the number.
  template <typename T>
  CLI::Option* Measure(const std::string& name, T* value, const std::string& otherwise,
                       const CLI::Validator& to_number, uint64_t at_least,
                       const std::string& help) {
    const auto read = [to_number, at_least, value](std::string text) {
      const std::string written = text;
      std::string wrong;
      try {
        wrong = to_number(text);
      } catch (const CLI::ValidationError& error) {
        wrong = error.what();
      }
      if (!wrong.empty()) return fmt::format("'{}': {}", written, wrong);
      T number{};
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size()) {
        return fmt::format("'{}' is not a number in range", written);
      }
      if (number < static_cast<T>(at_least)) {
        return fmt::format("'{}' is less than {}, the least allowed", written, at_least);
      }
      *value = number;
      return std::string();
    };
    read(otherwise);
    CLI::Option* option = app_->add_option("--" + name, help);
    option->check(CLI::Validator(read, "", ""))->default_str(otherwise);
    return Named(option, name);
  }

  CLI::Option* Named(CLI::Option* option, const std::string& name) {
    std::string variable = "MMSMO_" + name;
    std::transform(variable.begin(), variable.end(), variable.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    return option->envname(variable)->group(group_);
  }

  CLI::App* const app_;
  std::string group_;
};

// Goes after the check that has set the value.
CLI::Validator AtMost(const uint64_t* value, uint64_t at_most) {
  return {[value, at_most](const std::string& text) {
            return *value <= at_most
                       ? std::string()
                       : fmt::format("'{}' is more than {}, the most allowed", text, at_most);
          },
          ""};
}

std::string CheckPath(const std::string& path) {
  return std::string(MessageOf(access::CheckPath(path)));
}

// Without a value it is "true" and means both.
std::string ReadInsecure(std::string_view text, Config& config) {
  config.insecure_http = config.insecure_grpc = false;
  if (text == "false") return "";
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    if (part != "http" && part != "grpc" && part != "true")
      return fmt::format("'{}': allowed are http, grpc or both with a comma", text);
    config.insecure_http |= part != "grpc";
    config.insecure_grpc |= part != "http";
  }
  return "";
}

void DeclareTls(Settings& settings, const std::string& listener, tls::Files& files,
                const std::string& asked_of_clients) {
  settings.Add(listener + "-tls-cert", &files.cert,
               "A PEM file with the certificate, and those that signed it: TLS");
  settings.Add(listener + "-tls-key", &files.key, "A PEM file with the certificate's private key");
  settings.Add(listener + "-tls-client-ca", &files.client_ca,
               "A PEM file with whom clients' certificates must be signed by; " + asked_of_clients);
}

void DeclareHttp(Settings& settings, Config& config) {
  settings.Group("Postbacks over HTTP");
  settings.Add("http-listen", &config.http_listen,
               "Where postbacks arrive, HOST:PORT or unix:PATH; port 0 takes a free one");
  DeclareTls(settings, "http", config.http_tls, "one without is served all the same");
  settings.Add("http-path", &config.http_path, "The path that the provider POSTs to")
      ->check(CLI::Validator(CheckPath, ""));
  settings.Add("endpoint", &config.endpoint,
               "The endpoint's name in events; with the tracking id the key of dedupe");
  settings
      .Check("trusted-proxies", "",
             "Addresses and ranges of proxies in front, with commas; unix: those of unix:PATH",
             [&config](const std::string& text) {
               const auto proxies = access::ParseTrustedProxies(text);
               if (!proxies.ok()) return std::string(MessageOf(proxies.status()));
               config.trusted_proxies.ranges = proxies->ranges;
               config.trusted_proxies.unix_sockets = proxies->unix_sockets;
               return std::string();
             })
      ->type_name("RANGES");
  settings.Check(
      "trusted-proxies-header", "",
      "The field in which those say for whom they ask: forwarded or x-forwarded-for",
      [&config](const std::string& text) {
        using Field = access::TrustedProxies::Field;
        for (const Field field : {Field::kNone, Field::kForwarded, Field::kXForwardedFor}) {
          config.trusted_proxies.field = field;
          if (text == NameOf(field)) return std::string();
        }
        return fmt::format("'{}': allowed are forwarded and x-forwarded-for", text);
      });
  settings.Switch("http-proxy-protocol", &config.http_proxy_protocol,
                  "Those begin each connection with a PROXY header, v1 or v2; others are closed");
  settings
      .Add("http-threads", &config.http_threads,
           "Threads that serve HTTP; 0: one a core, at most 4")
      ->check(CLI::Range(0, 64));
  settings.Bytes("max-body-bytes", &config.max_body_bytes, 1, "A larger body is answered 413")
      ->check(AtMost(&config.max_body_bytes, kMostBodyBytes));
  settings.Bytes("max-header-bytes", &config.max_header_bytes, 256,
                 "A larger header is answered 431");
  settings.Bytes(
      "max-in-flight-bytes", &config.max_in_flight_bytes, 1,
      "Bodies that are read, and bodies and events that are not durable yet; over it, 503");
  settings
      .Add("max-connections", &config.max_connections,
           "Idle and slow ones make room for more; else 503")
      ->check(CLI::Range(1, 1'000'000));
  settings
      .Add("max-connections-per-address", &config.max_connections_per_address,
           "Of an address, or a /64 of IPv6, but no trusted proxy; more are closed; 0: no limit")
      ->check(CLI::Range(0, 1'000'000));
  settings.Duration("header-timeout", &config.header_timeout, "10s", 1,
                    "A request's header must arrive within, else 408");
  settings.Duration("body-timeout", &config.body_timeout, "30s", 1,
                    "A request's body must arrive within, else 408");
  settings.Duration("idle-timeout", &config.idle_timeout, "75s", 1,
                    "A connection without a request is closed after");
  settings.Duration("write-timeout", &config.write_timeout, "10s", 1,
                    "A client must take its answer within");
}

void DeclareGrpc(Settings& settings, Config& config) {
  settings.Group("Subscribers over gRPC");
  settings.Add("grpc-listen", &config.grpc_listen,
               "Where subscribers connect, HOST:PORT or unix:PATH");
  DeclareTls(settings, "grpc", config.grpc_tls, "one without is served all the same");
  settings.Mode("grpc-socket-mode", &config.grpc_socket_mode, "0660",
                "Permissions of the file of unix:PATH: who may write may connect");
  settings
      .Add("delivery-threads", &config.delivery_threads,
           "Threads that read for streams; 0: one a core, at most 4")
      ->check(CLI::Range(0, 64));
  settings.Duration("heartbeat-interval", &config.heartbeat_interval, "15s", 100,
                    "For streams that ask for none");
  const CLI::Range limit(1, 1'000'000);
  settings.Add("max-grpc-connections", &config.max_grpc_connections, "More are closed")
      ->check(limit);
  settings
      .Add("max-grpc-connections-per-address", &config.max_grpc_connections_per_address,
           "Of an address, or a /64 of IPv6, but no trusted proxy; more are closed; 0: no limit")
      ->check(CLI::Range(0, 1'000'000));
  settings.Add("max-streams", &config.max_streams, "More are RESOURCE_EXHAUSTED")->check(limit);
  settings
      .Add("max-streams-per-connection", &config.max_streams_per_connection,
           "Streams and other calls; a client waits with more")
      ->check(limit);
  settings.Add("max-calls", &config.max_calls, "Other calls; more are RESOURCE_EXHAUSTED")
      ->check(limit);
  settings.Bytes("max-call-bytes", &config.max_call_bytes, 1 << 20,
                 "What those may hold that are under way; more are RESOURCE_EXHAUSTED");
  settings.Bytes("max-frame-bytes", &config.max_frame_bytes, 1 << 20,
                 "What all streams together may have on the way; over it, each has one event");
  settings.Switch("health-open", &config.health_open,
                  "Health checks need no identity, where some are declared");
  settings
      .Add("reflection-open", &config.reflection_open,
           "Serve reflection, to everybody; auto: while no identity is declared")
      ->check(CLI::IsMember({"auto", "true", "false"}));
  settings.Group("Operation");
  settings.Add("admin-listen", &config.admin_listen,
               "Where /healthz, /readyz and /metrics are, HOST:PORT or unix:PATH");
  DeclareTls(settings, "admin", config.admin_tls, "/metrics is only for those with one");
  settings.Duration("drain-grace", &config.drain_grace, "0s", 0,
                    "On SIGTERM, everything is served so long as before, but not ready");
  settings.Duration("drain-timeout", &config.drain_timeout, "5s", 0,
                    "On SIGTERM, streams end within");
  settings
      .Flag("insecure", &config.insecure,
            "Let everybody in who can reach a listener: =http, =grpc, or both")
      ->check(CLI::Validator(
          [&config](const std::string& text) { return ReadInsecure(text, config); }, ""));
  settings.Add("log-level", &config.log_level, "")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  settings
      .Add("access-log-rate", &config.access_log_rate,
           "Lines a second at most of a log of requests, as JSON; 0: none")
      ->check(CLI::Range(0, 1'000'000));
  settings.Add("log-format", &config.log_format, "auto: text on a terminal, JSON otherwise")
      ->check(CLI::IsMember({"auto", "text", "json"}));
}

void DeclareJournal(Settings& settings, Config& config) {
  settings.Group("Journal");
  settings.Add("data-dir", &config.data_dir,
               "The directory of the journal, made if it is not there");
  settings.Switch("keep-raw", &config.keep_raw, "Keep the raw body beside each event");
  settings.Duration("retention-age", &config.retention_age, "7d", 0,
                    "Older events are removed; 0s: no limit");
  settings.Bytes("retention-bytes", &config.retention_bytes, 0,
                 "The oldest events over it are removed; 0: no limit");
  settings.Bytes("newest-bytes", &config.newest_bytes, 0,
                 "Memory for the newest events, shared by all streams");
  settings.Duration("resume-window", &config.resume_window, "2s", 0,
                    "So long after a stream's end its deliveries wait for its client");
  settings.Add("dead-letters-count", &config.dead_letters_count,
               "Budget of each subscription: when it is full, what would become one waits");
  settings.Bytes("dead-letters-bytes", &config.dead_letters_bytes, 0,
                 "Likewise, of all subscriptions together");
  settings.Duration("quarantine-age", &config.quarantine_age, "30d", 0,
                    "Older quarantined postbacks are removed; 0s: never");
  settings.Add("quarantine-rejected-count", &config.quarantine_rejected_count,
               "Budget of those answered 4xx: the oldest make room");
  settings.Bytes("quarantine-rejected-bytes", &config.quarantine_rejected_bytes, 0, "Likewise");
  settings.Add("quarantine-not-mms-mo-count", &config.quarantine_not_mms_mo_count,
               "Budget of other kinds of postbacks: the oldest make room");
  settings.Bytes("quarantine-not-mms-mo-bytes", &config.quarantine_not_mms_mo_bytes, 0, "Likewise");
  settings.Add("quarantine-kept-count", &config.quarantine_kept_count,
               "Budget of the rest, answered 200: when it is full, 503");
  settings.Bytes("quarantine-kept-bytes", &config.quarantine_kept_bytes, 0, "Likewise");
  settings.Duration("audit-age", &config.audit_age, "90d", 0,
                    "Older records of who changed what are removed; 0s: never");
  settings.Bytes("audit-bytes", &config.audit_bytes, 0,
                 "The oldest of those records over it are removed; 0: no limit");
}

[[noreturn]] void Throw(std::string message) {
  throw CLI::ConfigError(std::move(message), CLI::ExitCodes::ConfigError);
}

void CheckTls(std::string_view listener, const std::string& listen, const tls::Files& files) {
  if (!files.any()) return;
  if (IsUnixAddress(listen)) {
    Throw(
        fmt::format("--{0}-listen: '{1}' takes no TLS: leave --{0}-tls-cert, --{0}-tls-key and "
                    "--{0}-tls-client-ca away, or give HOST:PORT",
                    listener, listen));
  }
  if (files.cert.empty() != files.key.empty()) {
    Throw(fmt::format("--{0}-tls-cert and --{0}-tls-key go together: --{0}-tls-{1} is missing",
                      listener, files.cert.empty() ? "cert" : "key"));
  }
  if (files.cert.empty()) {
    Throw(fmt::format("--{0}-tls-client-ca needs --{0}-tls-cert and --{0}-tls-key, too", listener));
  }
}

// One postback must fit, whatever its size, or it would be sent again for ever.
void CheckEndpoint(const access::EndpointSettings& endpoint, const Config& config) {
  constexpr size_t kBesidePath = 64;  // of the shortest header
  if (endpoint.path.size() + kBesidePath > config.max_header_bytes) {
    Throw(
        fmt::format("--http-path: a request with a path of {} bytes is over --max-header-bytes, {}",
                    endpoint.path.size(), config.max_header_bytes));
  }
  if (endpoint.max_body_bytes > kMostBodyBytes) {
    Throw(fmt::format("endpoint '{}': max-body-bytes: {} is more than {}, the most allowed",
                      endpoint.name, endpoint.max_body_bytes, kMostBodyBytes));
  }
  const uint64_t body = std::max(config.max_body_bytes, endpoint.max_body_bytes);
  if (config.max_in_flight_bytes >= body + broker::kMaxEventBytes) return;
  Throw(
      fmt::format("--max-in-flight-bytes: {} is too little for one body of --max-body-bytes, {}, "
                  "and its event of "
                  "up to {}",
                  config.max_in_flight_bytes, body, broker::kMaxEventBytes));
}

void CheckTogether(const Config& config) {
  CheckTls("http", config.http_listen, config.http_tls);
  CheckTls("grpc", config.grpc_listen, config.grpc_tls);
  CheckTls("admin", config.admin_listen, config.admin_tls);
  if (config.http_proxy_protocol && config.trusted_proxies.ranges.empty() &&
      !config.trusted_proxies.unix_sockets) {
    Throw("--http-proxy-protocol needs --trusted-proxies: nobody else is served");
  }
  for (const access::EndpointSettings& endpoint : config.endpoints) CheckEndpoint(endpoint, config);
  if (auto status = CheckExposure(config); !status.ok()) Throw(std::string(MessageOf(status)));
}

// The one that --http-path declares: the only one, or one more where the path is given.
void AddShortEndpoint(const CLI::App& app, Config& config) {
  if (!config.endpoints.empty() && app.get_option("--http-path")->count() == 0) return;
  config.endpoints.push_back({.name = config.endpoint, .path = config.http_path});
}

void MakeEphemeral(const CLI::App& app, Config& config) {
  if (app.get_option("--data-dir")->count() > 0)
    Throw("--ephemeral: it has a directory of its own, and takes no --data-dir");
  for (const auto& [option, listen] : {std::pair("--http-listen", &config.http_listen),
                                       {"--grpc-listen", &config.grpc_listen},
                                       {"--admin-listen", &config.admin_listen}}) {
    if (app.get_option(option)->count() == 0) *listen = "127.0.0.1:0";
  }
}

// The settings of the file at `path`, where neither a flag nor the environment has them: CLI11's
// own reading of a file would let it win over the environment, and what it reads is not quite TOML.
void ReadSettings(CLI::App& app, const std::string& path, const toml::table& root) {
  for (const auto& [key, value] : root) {
    const std::string name(key.str());
    if (name == kSubscriptionTable || name == kIdentityTable) continue;
    if (name == kEndpointTable && value.is_array_of_tables()) continue;
    CLI::Option* const option = app.get_option_no_throw("--" + name);
    if (option == nullptr || !option->get_configurable()) {
      Throw(fmt::format("{}: '{}' is not a setting", path, name));
    }
    if (option->count() > 0) continue;
    const std::optional<std::string> text = TextOfToml(value);
    if (!text)
      Throw(fmt::format("{}: {}: it must be a string, an integer or a boolean", path, name));
    try {
      option->add_result(*text);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      Throw(fmt::format("{}: {}", path, error.what()));
    }
  }
}

// Whether the only endpoint is the one that two settings declare.
bool IsShort(const Config& config) {
  return config.endpoints.size() == 1 &&
         config.endpoints[0] ==
             access::EndpointSettings{.name = config.endpoint, .path = config.http_path};
}

std::map<std::string, std::string> TextsOf(const CLI::App& app) {
  std::map<std::string, std::string> texts;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_configurable()) continue;
    texts[option->get_single_name()] =
        option->count() > 0 ? option->results()[0] : option->get_default_str();
  }
  return texts;
}

// The settings in force as ReadSettings reads them.
std::string FormatSettings(const CLI::App& app, const Config& config) {
  std::string text = fmt::format("# {}\n", app.get_description());
  std::string_view group;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_configurable()) continue;
    const std::string name = option->get_single_name();
    // Its table says so.
    if (!IsShort(config) && (name == "http-path" || name == "endpoint")) continue;
    if (option->get_group() != group) {
      group = option->get_group();
      text += fmt::format("\n# {}\n", group);
    }
    if (option->has_description()) text += fmt::format("\n# {}\n", option->get_description());
    text += fmt::format("{}={}\n", name, TomlOfText(config.texts.at(name)));
  }
  return text;
}

}  // namespace

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app("Takes MMS MO postbacks over HTTP, makes them durable and publishes them over gRPC.",
               "mmsmo-gateway");
  app.set_version_flag("--version", "mmsmo-gateway " MMSMO_VERSION);
  std::string file;
  app.add_option("--config", file, "A TOML file with these settings as its keys")
      ->envname("MMSMO_CONFIG")
      ->configurable(false);
  bool print_config = false;
  app.add_flag("--print-config", print_config,
               "Print the settings in force as a configuration file, and end")
      ->configurable(false);
  app.add_flag("--ephemeral", line.config.ephemeral,
               "For tests: on free ports of this machine, which it prints as JSON, with a journal "
               "that goes with it, until standard input ends")
      ->configurable(false);
  app.footer(
      "Every setting is also an environment variable: --http-listen is MMSMO_HTTP_LISTEN.\n"
      "Sizes take KiB, MiB, GiB; times take ms, s, m, h, d.");
  Settings settings(&app);
  DeclareHttp(settings, line.config);
  DeclareGrpc(settings, line.config);
  DeclareJournal(settings, line.config);
  try {
    app.parse(argc, argv);
    if (!file.empty()) {
      const auto root = ReadTomlFile(file);
      if (!root.ok()) Throw(std::string(MessageOf(root.status())));
      ReadSettings(app, file, *root);
      auto endpoints = ReadDeclaredEndpoints(file, *root);
      if (!endpoints.ok()) Throw(std::string(MessageOf(endpoints.status())));
      line.config.endpoints = *std::move(endpoints);
      auto subscriptions = ReadDeclaredSubscriptions(file, *root);
      if (!subscriptions.ok()) Throw(std::string(MessageOf(subscriptions.status())));
      line.config.subscriptions = *std::move(subscriptions);
      auto identities = ReadDeclaredIdentities(file, *root);
      if (!identities.ok()) Throw(std::string(MessageOf(identities.status())));
      line.config.identities = *std::move(identities);
    }
    if (line.config.ephemeral) MakeEphemeral(app, line.config);
    line.config.texts = TextsOf(app);
    AddShortEndpoint(app, line.config);
    CheckTogether(line.config);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    line.exit = true;
    line.exit_code = app.exit(error, out, err) == 0 ? 0 : 2;
    line.print = line.exit_code == 0 ? out.str() : err.str();
    return line;
  }
  if (print_config) {
    line.exit = true;
    line.print = FormatSettings(app, line.config);
    if (!IsShort(line.config)) line.print += FormatDeclaredEndpoints(line.config.endpoints);
    line.print += FormatDeclaredSubscriptions(line.config.subscriptions) +
                  FormatDeclaredIdentities(line.config.identities);
  }
  return line;
}

}  // namespace mmsmo
