import type { Logger } from "./options.js";

/** Calls a hook of the user's, whose failure is not the run's. */
export function tell(logger: Logger, hook: () => void): void {
  try {
    hook();
  } catch (error) {
    logger.error("mmsmo: a hook failed", { why: error });
  }
}
