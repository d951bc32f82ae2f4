/**
 * What a connection needs from the document, and the document from a connection.
 */

/** One connection, as the document sees it. */
export interface Connection {
  send(bytes: Uint8Array): void;
  /** Ends it; `code` is the engine's number for the reason. */
  close(code: number, text: string): void;
}

/** The document, as its connections see it. */
export interface Switchboard {
  /** A connection is up; its number is what the other calls want. */
  connected(connection: Connection, role: "dialer" | "acceptor", shared: boolean, credential?: string): number;
  received(conn: number, bytes: Uint8Array): void;
  /** So many bytes that were sent have left this page. */
  written(conn: number, bytes: number): void;
  disconnected(conn: number): void;
}
