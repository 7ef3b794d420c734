// The dashboard: what is going on, on one page, from what a browser notices down to why.
// Owns: which metrics stand beside which.
// Must not know: what is too much; the alarms are shown as they are.
// Source: docs/runbook.md, "The dashboard".
import { Duration } from 'aws-cdk-lib';
import { type Alarm, AlarmStatusWidget, Dashboard, GraphWidget, type IMetric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { Gateway } from './gateway.ts';
import { type Counted, each, iteratorAge, ofStage, own, pageAge, waiting } from './metrics.ts';

export interface GatewayDashboardProps {
  readonly alarms: readonly Alarm[];
  readonly eventHandler: IFunction;
  readonly failureQueue: IQueue;
  readonly functions: ReadonlyMap<string, IFunction>;
  readonly gateway: Gateway;
  readonly pageQueue: IQueue;
}

export class GatewayDashboard extends Dashboard {
  constructor(scope: Construct, id: string, props: GatewayDashboardProps) {
    super(scope, id, { dashboardName: 'Foldcast', defaultInterval: Duration.hours(3) });
    const { alarms, eventHandler, failureQueue, functions, gateway, pageQueue } = props;
    const mine = (metricName: Counted, ...statistics: string[]): IMetric[] =>
      statistics.map((statistic) => own('event-handler', metricName, statistic));
    const stage = (statistic: string, ...names: string[]): IMetric[] =>
      names.map((name) => ofStage(gateway.dimensions, name, statistic));
    const p99 = Stats.percentile(99);
    this.addWidgets(new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width: 24, height: 3 }));
    this.addWidgets(
      graph('Lag from append to push, ms', [...mine('Lag', Stats.percentile(50), p99)]),
      graph('Updates', [...mine('EventsFolded', Stats.SUM), ...mine('UpdatesPushed', Stats.SUM)]),
      graph('Subscribers of an update', [...mine('FanOut', Stats.percentile(50), p99, Stats.MAXIMUM)]),
    );
    this.addWidgets(
      graph('Pushes that were not simply delivered', [
        ...mine('ConnectionsGone', Stats.SUM),
        ...mine('PushesRetried', Stats.SUM),
        ...mine('PushesFailed', Stats.SUM),
      ]),
      graph('Again and never', [...mine('Redeliveries', Stats.SUM), ...mine('Deferred', Stats.SUM), ...mine('Poison', Stats.SUM)]),
      graph('Change feed: iterator age, ms', [iteratorAge(eventHandler)]),
    );
    this.addWidgets(
      graph('Connections and messages', stage(Stats.SUM, 'ConnectCount', 'MessageCount')),
      graph('Gateway errors', stage(Stats.SUM, 'ClientError', 'ExecutionError', 'IntegrationError')),
      graph('Time of an integration, ms', stage(p99, 'IntegrationLatency')),
    );
    this.addWidgets(
      graph('Errors of functions', each(functions, 'Errors')),
      graph('Throttles of functions', each(functions, 'Throttles')),
      graph('Failure queue', [waiting(failureQueue)]),
    );
    this.addWidgets(
      graph('Pages: messages', [waiting(pageQueue)]),
      graph('Pages: age of the oldest, s', [pageAge(pageQueue)]),
    );
  }
}

function graph(title: string, left: IMetric[]): GraphWidget {
  return new GraphWidget({ title, left, width: 8, leftYAxis: { min: 0 } });
}
