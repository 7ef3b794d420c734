// Made from shared/protocol/schema.json: `TYPES=write npm test` writes it anew.

export type Message = Error | Event | Heads | History | Part | Pong | Sent | Unsubscribed | Update | WantedOrder;
/**
 * What a browser sends.
 */
export type Sent =
  | {
      action: "subscribe";
      /**
       * 1 to 100 orders; a single one may stand in the message itself.
       */
      orders: WantedOrder[];
    }
  | {
      action: "unsubscribe";
      /**
       * 1 to 100 orders.
       */
      orders: string[];
    }
  | {
      action: "history";
      /**
       * The first version, from 1 on.
       */
      from: number;
      /**
       * The order.
       */
      orderId: string;
      /**
       * The last version.
       */
      to: number;
    }
  | {
      action: "heads";
      /**
       * 1 to 100 orders: the last version that the browser has, by `orderId`.
       */
      orders: {
        [k: string]: number;
      };
    }
  | {
      action: "ping";
    };

export interface Error {
  code: "bad_request" | "forbidden" | "too_many_subscriptions" | "too_large" | "internal";
  /**
   * The order's place in the list of the message that is answered, from 0.
   */
  index?: number;
  message: string;
  orderId?: string;
  requestId: string;
  /**
   * The same message may succeed after so many milliseconds.
   */
  retryAfterMs?: number;
  type: "error";
}
export interface Event {
  data: {
    [k: string]: unknown;
  };
  ref: string;
  ts: number;
  version: number;
}
export interface Heads {
  /**
   * The version of each order that the browser is not level with, by `orderId`.
   */
  orders: {
    [k: string]: number;
  };
  type: "heads";
}
export interface History {
  events: Event[];
  more?: boolean;
  orderId: string;
  projection?: {
    [k: string]: unknown;
  };
  refolded?: boolean;
  reset?: boolean;
  type: "history";
  version: number;
}
export interface Part {
  id: string;
  orderId: string;
  part: number;
  parts: number;
  text: string;
  type: "part";
  version: number;
}
export interface Pong {
  type: "pong";
}
/**
 * An order to subscribe to.
 */
export interface WantedOrder {
  /**
   * 1 to 256 bytes of UTF-8 without control characters.
   */
  orderId: string;
  /**
   * The ref of the event at that version.
   */
  ref?: string;
  /**
   * The last version that the browser has.
   */
  since?: number;
}
export interface Unsubscribed {
  orderId: string;
  type: "unsubscribed";
}
export interface Update {
  events: Event[];
  more?: boolean;
  orderId: string;
  projection?: {
    [k: string]: unknown;
  };
  refolded?: boolean;
  reset?: boolean;
  type: "update";
  version: number;
}
