// A name of your own for the gateway: `wss://push.shop.example` in the place of API Gateway's address.
// Owns: the domain name's certificate and its oldest TLS.
// Must not know: who serves the name; the record in the DNS is the operator's.
// Source: developer guide, "Custom domain names for WebSocket APIs".
import { DomainName, SecurityPolicy } from 'aws-cdk-lib/aws-apigatewayv2';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { Construct } from 'constructs';

export interface DomainProps {
  readonly name: string;
  /** Of ACM, in this region, for this name. */
  readonly certificateArn: string;
}

export class Domain extends DomainName {
  /** Where browsers connect. */
  readonly url: string;

  constructor(scope: Construct, id: string, { name, certificateArn }: DomainProps) {
    super(scope, id, {
      domainName: name,
      certificate: Certificate.fromCertificateArn(scope, 'Certificate', certificateArn),
      securityPolicy: SecurityPolicy.TLS_1_2,
    });
    this.url = `wss://${name}`;
  }
}
