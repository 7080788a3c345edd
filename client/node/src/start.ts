import { Boundary, StartPosition } from "./generated/mmsmo/v1/event.js";

/** Begins with the oldest event that the gateway still has. */
export function fromEarliest(): StartPosition {
  return StartPosition.create({ boundary: Boundary.BOUNDARY_EARLIEST });
}

/** Begins with what arrives from now on. */
export function fromLatest(): StartPosition {
  return StartPosition.create({ boundary: Boundary.BOUNDARY_LATEST });
}

/** Begins with what follows an event, or the position that `Subscriber.cursor` gave. */
export function afterCursor(cursor: string): StartPosition {
  return StartPosition.create({ afterCursor: cursor });
}

/** Begins with the first event that the gateway accepted at or after `time`. */
export function fromTime(time: Date): StartPosition {
  return StartPosition.create({ acceptTime: time });
}
