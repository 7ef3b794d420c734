// One alarm: its name, where it says what to do, and whom it calls.
// Owns: what all alarms have in common.
// Must not know: what is too much of anything.
// Source: docs/runbook.md, whose sections have the alarms' names.
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';

export interface TooMuch {
  readonly metric: IMetric;
  /** It is too much above this. */
  readonly above: number;
  /** In so many minutes of the last five. */
  readonly minutes: number;
  readonly means: string;
}

/** An alarm `foldcast-<name>`; its beginning and its end are told to `topic`, if there is one. */
export function alarm(scope: Construct, name: string, { metric, above, minutes, means }: TooMuch, topic?: ITopic): Alarm {
  const made = new Alarm(scope, name, {
    alarmName: `foldcast-${name}`,
    alarmDescription: `${means} What to do: docs/runbook.md, foldcast-${name}.`,
    metric,
    threshold: above,
    comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    datapointsToAlarm: minutes,
    evaluationPeriods: 5,
    // Nothing is measured where nothing happens.
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
  if (topic !== undefined) {
    const action = new SnsAction(topic);
    made.addAlarmAction(action);
    made.addOkAction(action);
  }
  return made;
}
