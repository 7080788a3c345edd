package io.github.mmsmo.gateway;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors.CheckedForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;

/** Puts the token into every call of a channel, by the thread that makes it. */
final class TokenInterceptor implements ClientInterceptor {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final TokenSource source;

  TokenInterceptor(TokenSource source) {
    this.source = source;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    return new CheckedForwardingClientCall<Q, A>(next.newCall(method, options)) {
      @Override
      protected void checkedStart(Listener<A> listener, Metadata headers) throws StatusException {
        headers.put(AUTHORIZATION, "Bearer " + token());
        delegate().start(listener, headers);
      }
    };
  }

  private String token() throws StatusException {
    try {
      return source.get();
    } catch (Exception e) {
      throw Status.UNAVAILABLE
          .withDescription("there is no token: " + e.getMessage())
          .withCause(e)
          .asException();
    }
  }
}
