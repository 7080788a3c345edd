"""The libraries that script/setup installs, and stubs for what Bazel 4 would download."""

# Each is declared by //bazel:NAME.BUILD over /usr.
_LIBRARIES = [
    "absl",
    "benchmark",
    "boost",
    "cli11",
    "fmt",
    "grpc",
    "gtest",
    "icu",
    "openssl",
    "phonenumber",
    "prometheus",
    "protobuf",
    "pugixml",
    "rocksdb",
    "simdjson",
    "spdlog",
    "tcmalloc",
    "tomlplusplus",
    "xxhash",
    "zlib",
]

def system_deps():
    for name in _LIBRARIES:
        native.new_local_repository(
            name = name,
            build_file = "//bazel:%s.BUILD" % name,
            path = "/usr",
        )

_CC_RULES = "cc_binary cc_import cc_library cc_proto_library cc_test cc_toolchain cc_toolchain_suite"
_JAVA_RULES = "java_binary java_import java_library java_package_configuration java_proto_library java_runtime java_test java_toolchain"
_PROTO_RULES = "proto_lang_toolchain proto_library"

def _defs(rules):
    return "".join(["%s = native.%s\n" % (rule, rule) for rule in rules.split(" ")])

def _stub_impl(ctx):
    ctx.file("WORKSPACE", "")
    for path, content in ctx.attr.files.items():
        ctx.file(path, content)

_stub = repository_rule(
    implementation = _stub_impl,
    attrs = {"files": attr.string_dict()},
)

def builtin_stubs():
    """Bazel 4 names these repositories in its own rules; the rules are built in."""
    _stub(
        name = "rules_cc",
        files = {"cc/BUILD": "", "cc/defs.bzl": _defs(_CC_RULES)},
    )
    _stub(
        name = "rules_java",
        files = {"java/BUILD": "", "java/defs.bzl": _defs(_JAVA_RULES)},
    )
    _stub(
        name = "rules_proto",
        files = {"proto/BUILD": "", "proto/defs.bzl": _defs(_PROTO_RULES)},
    )
    _stub(
        name = "remote_coverage_tools",
        files = {"BUILD": "".join([
            "filegroup(name = \"%s\", visibility = [\"//visibility:public\"])\n" % name
            for name in ["coverage_report_generator", "lcov_merger"]
        ])},
    )
