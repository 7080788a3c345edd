import { Connection, type CallOptions, type Codec } from "./connection.js";
import { AuditServiceDefinition } from "./generated/mmsmo/v1/audit_service.js";
import { MmsMoServiceDefinition } from "./generated/mmsmo/v1/mms_mo_service.js";
import { QuarantineServiceDefinition } from "./generated/mmsmo/v1/quarantine_service.js";
import { SubscriptionServiceDefinition } from "./generated/mmsmo/v1/subscription_service.js";
import { checkConnect, type ConnectOptions } from "./options.js";

type Message<T> = Codec<T> & { fromPartial(object: never): T };

interface Method {
  readonly name: string;
  readonly requestType: Message<unknown>;
  readonly responseType: Message<unknown>;
  readonly responseStream: boolean;
}

interface Definition {
  readonly fullName: string;
  readonly methods: Record<string, Method>;
}

/** Each method of a service that gives one answer. Fields of the request may be left out. */
export type Stub<D extends Definition> = {
  readonly [M in keyof D["methods"] as D["methods"][M]["responseStream"] extends false ? M : never]: (
    request: Parameters<D["methods"][M]["requestType"]["fromPartial"]>[0],
    options?: CallOptions,
  ) => Promise<ReturnType<D["methods"][M]["responseType"]["fromPartial"]>>;
};

/** The gateway's services. Their calls fail with a GatewayError. */
export interface Services {
  readonly mmsMo: Stub<typeof MmsMoServiceDefinition>;
  readonly subscriptions: Stub<typeof SubscriptionServiceDefinition>;
  readonly quarantine: Stub<typeof QuarantineServiceDefinition>;
  readonly audit: Stub<typeof AuditServiceDefinition>;
  /** Ends the connection, and the calls that are under way. */
  close(): void;
}

/** Does not wait for the gateway. Throws a GatewayError that names an option that is wrong. */
export function connect(options: ConnectOptions): Services {
  checkConnect(options);
  const connection = new Connection(options);
  return {
    mmsMo: stubOf(connection, MmsMoServiceDefinition),
    subscriptions: stubOf(connection, SubscriptionServiceDefinition),
    quarantine: stubOf(connection, QuarantineServiceDefinition),
    audit: stubOf(connection, AuditServiceDefinition),
    close: () => {
      connection.close();
    },
  };
}

function stubOf<D extends Definition>(connection: Connection, definition: D): Stub<D> {
  const methods = Object.entries(definition.methods).filter(([, method]) => !method.responseStream);
  const calls = methods.map(([key, method]) => {
    const { requestType, responseType } = method;
    const unary = { path: `/${definition.fullName}/${method.name}`, request: requestType, response: responseType };
    const call = (request: never, options?: CallOptions) =>
      connection.unary(unary, requestType.fromPartial(request), options);
    return [key, call];
  });
  return Object.fromEntries(calls) as Stub<D>;
}
