package io.github.mmsmo.gateway;

import java.util.List;

/** Deliveries, at most {@link Defaults#MAX_ACK_IDS}, whose state changes alike. */
final class UpdateCall {
  final Update update;
  final List<String> ackIds;

  UpdateCall(Update update, List<String> ackIds) {
    this.update = update;
    this.ackIds = ackIds;
  }
}
