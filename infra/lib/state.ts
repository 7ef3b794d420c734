// The state: what must outlive everything else. The log and the projections, made here or existing already.
// Owns: which of the two tables are made.
// Must not know: the gateway; what runs can be thrown away and made anew beside it.
// Source: docs/decisions/0007-state-is-a-nested-stack.md.
import { Construct } from 'constructs';
import { EventLog, type LogAddress, type TableAddress } from './event-log.ts';
import { Projections } from './projections.ts';

/** Tables of this account and region that are used instead of new ones. */
export interface ExistingTables {
  /** The change feed of a table with the keys, the index and the new images of `order_stream`. */
  readonly eventLogStreamArn?: string;
  /** A table with the key of `order_projections`. */
  readonly projectionsTableArn?: string;
}

export class State extends Construct {
  readonly eventLog: LogAddress;
  readonly projections: TableAddress;

  constructor(scope: Construct, id: string, { eventLogStreamArn, projectionsTableArn }: ExistingTables = {}) {
    super(scope, id);
    this.eventLog =
      eventLogStreamArn === undefined
        ? new EventLog(this, 'EventLog')
        : { ...tableAt(streamParts(eventLogStreamArn)), changeFeedArn: eventLogStreamArn };
    this.projections =
      projectionsTableArn === undefined ? new Projections(this, 'Projections') : tableAt(projectionsTableArn);
  }
}

/** `arn:…:table/NAME` of `arn:…:table/NAME/stream/LABEL`. */
function streamParts(streamArn: string): string {
  return streamArn.split('/stream/')[0]!;
}

function tableAt(tableArn: string): TableAddress {
  return { tableArn, tableName: tableArn.split('/')[1]! };
}
