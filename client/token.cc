#include "mmsmo/token.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "fmt/format.h"
#include "mutex.h"

namespace mmsmo {
namespace {

constexpr char kAuthorization[] = "authorization";

absl::StatusOr<std::string> CheckText(std::string_view source, std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  const bool is_token = !text.empty() && std::all_of(text.begin(), text.end(),
                                                     [](char c) { return c > ' ' && c <= '~'; });
  if (is_token) return text;
  return absl::InvalidArgumentError(
      fmt::format("{}: a token has one line of visible ASCII characters, without spaces", source));
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (!file.is_open() || file.bad())
    return absl::InvalidArgumentError(fmt::format("'{}' cannot be read", path));
  return CheckText(fmt::format("'{}'", path), text.str());
}

bool IsSame(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

class Interceptor final : public grpc::experimental::Interceptor {
 public:
  explicit Interceptor(Token* token) : token_(*token) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace(kAuthorization, "Bearer " + token_.Get());
    }
    methods->Proceed();
  }

 private:
  Token& token_;
};

class Factory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit Factory(std::shared_ptr<Token> token) : token_(std::move(token)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new Interceptor(token_.get());
  }

 private:
  const std::shared_ptr<Token> token_;
};

}  // namespace

struct Token::State {
  const std::string path;  // empty: none
  Mutex mu;
  struct stat seen ABSL_GUARDED_BY(mu) = {};  // of the file when it was read
  std::string text ABSL_GUARDED_BY(mu);
};

Token::Token(std::string path, std::string text)
    : state_(new State{.path = std::move(path), .text = std::move(text)}) {}

Token::~Token() = default;

absl::StatusOr<std::shared_ptr<Token>> Token::Of(std::string text) {
  auto checked = CheckText("token", std::move(text));
  if (!checked.ok()) return checked.status();
  return std::shared_ptr<Token>(new Token("", *std::move(checked)));
}

absl::StatusOr<std::shared_ptr<Token>> Token::FromFile(std::string path) {
  auto text = ReadToken(path);
  if (!text.ok()) return text.status();
  return std::shared_ptr<Token>(new Token(std::move(path), *std::move(text)));
}

std::string Token::Get() {
  State& state = *state_;
  const MutexLock lock(&state.mu);
  struct stat now {};
  if (state.path.empty() || stat(state.path.c_str(), &now) != 0 || IsSame(now, state.seen)) {
    return state.text;
  }
  state.seen = now;
  if (auto text = ReadToken(state.path); text.ok()) state.text = *std::move(text);
  return state.text;
}

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> SendsToken(
    std::shared_ptr<Token> token) {
  return std::make_unique<Factory>(std::move(token));
}

}  // namespace mmsmo
