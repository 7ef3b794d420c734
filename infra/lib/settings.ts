// What is said when the app is synthesized, since it changes which resources there are: tables that exist already, a domain,
// whom alarms call, how long logs are kept, how much the stage takes.
// Owns: the names of the context values `foldcast:…`, and refusing what is wrong with them.
// Must not know: which construct each is for.
// Source: docs/deploy.md, "Settings".
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ThrottleSettings } from 'aws-cdk-lib/aws-apigatewayv2';
import type { DomainProps } from './domain.ts';
import type { Concurrency } from './functions.ts';
import type { ExistingTables } from './state.ts';

export interface Settings {
  readonly existing?: ExistingTables;
  readonly domain?: DomainProps;
  readonly alarmTopicArn?: string;
  readonly concurrency?: Concurrency;
  readonly logRetention?: RetentionDays;
  readonly throttle?: ThrottleSettings;
}

const PREFIX = 'foldcast:';

/** Each setting's pattern, and what it must be in words. */
const PATTERNS = {
  eventLogStreamArn: [/^arn:[^:]+:dynamodb:[^:]+:\d+:table\/[\w.-]+\/stream\/.+$/, 'the ARN of a stream of a table'],
  projectionsTableArn: [/^arn:[^:]+:dynamodb:[^:]+:\d+:table\/[\w.-]+$/, 'the ARN of a table'],
  domainName: [/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'a name such as push.shop.example'],
  certificateArn: [/^arn:[^:]+:acm:[^:]+:\d+:certificate\/.+$/, 'the ARN of a certificate'],
  alarmTopicArn: [/^arn:[^:]+:sns:[^:]+:\d+:[\w-]+$/, 'the ARN of a topic'],
  logRetentionDays: [/^\d+$/, 'a number of days that CloudWatch has, such as 14, 30 or 365'],
  eventHandlerConcurrency: [/^[1-9]\d*$/, 'a number of executions'],
  subscribeConcurrency: [/^[1-9]\d*$/, 'a number of executions'],
  throttleRate: [/^[1-9]\d*$/, 'a number of requests a second'],
  throttleBurst: [/^[1-9]\d*$/, 'a number of requests'],
} as const satisfies Record<string, readonly [RegExp, string]>;

type Name = keyof typeof PATTERNS;

/** Reads the settings out of an app's context, in which other values may be. */
export function settingsOf(context: Readonly<Record<string, unknown>>): Settings {
  const given = new Map<Name, string>();
  for (const [key, value] of Object.entries(context)) {
    if (!key.startsWith(PREFIX)) continue;
    const name = key.slice(PREFIX.length);
    if (!isName(name)) throw new Error(`there is no setting ${key}: there are ${names()}`);
    const [pattern, mustBe] = PATTERNS[name];
    const text = String(value);
    if (!pattern.test(text)) throw new Error(`${key} must be ${mustBe}, and not ${text}`);
    given.set(name, text);
  }
  const [domainName, certificateArn] = both(given, 'domainName', 'certificateArn');
  const [rate, burst] = both(given, 'throttleRate', 'throttleBurst');
  const days = given.get('logRetentionDays');
  const number = (name: Name): number | undefined => (given.has(name) ? Number(given.get(name)) : undefined);
  return defined({
    existing: defined({
      eventLogStreamArn: given.get('eventLogStreamArn'),
      projectionsTableArn: given.get('projectionsTableArn'),
    }),
    domain: domainName === undefined ? undefined : { name: domainName, certificateArn: certificateArn! },
    alarmTopicArn: given.get('alarmTopicArn'),
    concurrency: defined({
      eventHandler: number('eventHandlerConcurrency'),
      subscribe: number('subscribeConcurrency'),
    }),
    logRetention: days === undefined ? undefined : retention(Number(days)),
    throttle: rate === undefined ? undefined : { rateLimit: Number(rate), burstLimit: Number(burst) },
  });
}

function isName(name: string): name is Name {
  return Object.hasOwn(PATTERNS, name);
}

function names(): string {
  return Object.keys(PATTERNS)
    .map((name) => PREFIX + name)
    .join(', ');
}

/** Two settings that make sense together alone. */
function both(given: ReadonlyMap<Name, string>, first: Name, second: Name): [string | undefined, string | undefined] {
  if (given.has(first) !== given.has(second)) throw new Error(`${PREFIX}${first} and ${PREFIX}${second} go together`);
  return [given.get(first), given.get(second)];
}

function retention(days: number): RetentionDays {
  if (!(days in RetentionDays)) throw new Error(`${PREFIX}logRetentionDays must be ${PATTERNS.logRetentionDays[1]}, and not ${days}`);
  return days;
}

/** Without what is undefined. */
function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
