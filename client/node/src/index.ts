/**
 * Receives the events of an mmsmo-gateway, and goes on where it was after any failure.
 *
 *     const subscriber = new Subscriber({ target: "localhost:9090" });
 *     await subscriber.run("billing", async (delivery) => {
 *       await book(delivery.event);
 *       return ack();
 *     });
 */
export * as defaults from "./defaults.js";
export type { CallOptions } from "./connection.js";
export type { Delivery } from "./deliveries.js";
export { CursorExpiredError, GatewayError, HandlersRunningError, type Code } from "./errors.js";
export type { EventHandler } from "./follow-run.js";
export type { ConnectOptions, Hooks, Logger, SubscriberOptions, TlsOptions } from "./options.js";
export type { FailedAck } from "./outbox.js";
export { connect, type Services, type Stub } from "./services.js";
export { stopOnSignals } from "./signals.js";
export { afterCursor, fromEarliest, fromLatest, fromTime } from "./start.js";
export { Subscriber, type Stats, type StopOptions } from "./subscriber.js";
export type { Handler, StopMode } from "./subscription-run.js";
export { tokenFile, type TokenSource } from "./token.js";
export { ack, deadLetter, retry, retryAfter, type Verdict } from "./verdict.js";

export * from "./generated/mmsmo/v1/audit_service.js";
export * from "./generated/mmsmo/v1/event.js";
export * from "./generated/mmsmo/v1/mms_mo.js";
export {
  AckFailureReason,
  GetEventRequest,
  GetEventResponse,
  GetRawPostbackRequest,
  GetRawPostbackResponse,
  ListEventsRequest,
  ListEventsResponse,
} from "./generated/mmsmo/v1/mms_mo_service.js";
export * from "./generated/mmsmo/v1/quarantine_service.js";
export * from "./generated/mmsmo/v1/subscription.js";
export * from "./generated/mmsmo/v1/subscription_service.js";
