"""The wire contract's generated C++."""

def cc_protos(name, srcs, services = [], deps = [], visibility = None):
    """A library of the messages of `srcs`, and of the stubs of those that `services` lists.

    Args:
      name: the library's name.
      srcs: .proto files, relative to this package, which is the root of their imports.
      services: those of `srcs` that declare a service; the library holds only their stubs.
      deps: libraries of what the files import, and of the messages where `services` is given.
      visibility: of the library.
    """
    outs = []
    plugins = ""
    tools = ["@protobuf//:bin/protoc"]
    if services:
        tools.append("@grpc//:bin/grpc_cpp_plugin")
        plugins = "--plugin=protoc-gen-grpc=$(execpath @grpc//:bin/grpc_cpp_plugin) --grpc_out=$(RULEDIR)/cpp"
    else:
        plugins = "--cpp_out=$(RULEDIR)/cpp"
    for src in services or srcs:
        stem = "cpp/" + src[:-len(".proto")] + (".grpc.pb" if services else ".pb")
        outs += [stem + ".cc", stem + ".h"]
    native.genrule(
        name = name + "_generated",
        srcs = srcs,
        outs = outs,
        cmd = "$(execpath @protobuf//:bin/protoc) --proto_path=%s --proto_path=/usr/include %s %s" % (
            native.package_name(),
            plugins,
            " ".join(services or srcs),
        ),
        tools = tools,
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        copts = ["-w"],
        strip_include_prefix = "cpp",
        visibility = visibility,
        deps = deps,
    )
