// What an evaluation tells: the Exchange as it would be, in the shape in which the Admin API and
// `sluice explain --json` give it. Values that are likely to be secrets stand as `***`.

/** A request to evaluate. */
export interface EvaluationRequest {
  /** GET when absent. */
  readonly method?: string;
  /** `https://host[:port]/path?query`, or a path alone with the host in a Host field. Taken as written, not normalised. */
  readonly url: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
  /** The address at the other end of the connection; 127.0.0.1 when absent. */
  readonly client?: string;
}

/** `kind/id` of the resource that has a Binding, and the Plugin's name. */
export interface NamedBinding {
  readonly plugin: string;
  readonly place: string;
}

export interface Explanation {
  readonly revision: number;
  /** What limits were judged by: the counters that the workers share, or none. Nothing is counted either way. */
  readonly counters: 'live' | 'empty';
  readonly request: ExplainedRequest;
  /** The Routes whose host and uri match, best first. */
  readonly candidates: readonly ExplainedCandidate[];
  /** How many more Routes match after those. */
  readonly more_candidates: number;
  readonly route: ExplainedRoute | null;
  readonly consumer: ExplainedConsumer | null;
  /** The effective chain, in the order in which it runs. */
  readonly chain: readonly ExplainedStep[];
  /** Who asks for a whole body instead of a stream; nobody when empty. */
  readonly buffers: { readonly request: readonly NamedBinding[]; readonly response: readonly NamedBinding[] };
  readonly verdict: ReplyVerdict | ForwardVerdict;
  /** What Plugins wrote to the log. */
  readonly log: readonly ExplainedLogLine[];
}

export interface ExplainedRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** In lower case, without port: what Routes are matched by. */
  readonly host: string;
  /** Normalised: what Routes are matched by. */
  readonly path: string;
  readonly query: string;
  /** As sent. */
  readonly target: string;
  readonly client_address: string;
  readonly peer_address: string;
  /** The peer is a hop whose X-Forwarded-* and X-Real-IP are believed. */
  readonly peer_trusted: boolean;
}

export interface ExplainedCandidate {
  readonly route: string;
  readonly name: string;
  /** The configured host that matched; null for a Route of any host. */
  readonly host: string | null;
  /** The configured uri that matched. */
  readonly uri: string;
  readonly priority: number;
  /** `outranked`: it would have accepted, but a better one did. */
  readonly outcome: 'matched' | 'refused' | 'outranked';
  /** Which predicate refused. */
  readonly predicate?: 'methods' | 'remote_addrs' | 'vars';
  readonly detail?: string;
}

export interface ExplainedRoute {
  readonly id: string;
  readonly name: string;
  readonly uri: string;
  readonly service: string | null;
}

export interface ExplainedConsumer {
  readonly username: string;
  readonly group: string | null;
  /** Id of the Credential; null when the Consumer itself has it, or when it is the anonymous one. */
  readonly credential: string | null;
  /** Who recognised it. */
  readonly by: NamedBinding | null;
}

export interface ExplainedStep extends NamedBinding {
  readonly phase: 'rewrite' | 'access' | 'beforeProxy' | 'responseHeaders' | 'responseBody' | 'log';
  readonly priority: number;
  /** What `_meta.filter` said; absent when there is none or it was not asked. */
  readonly filter?: boolean;
  /** `filtered`: `_meta.filter` kept it out. `later`: it runs once a response is there. */
  readonly outcome: 'passed' | 'replied' | 'failed' | 'filtered' | 'not_reached' | 'later';
  /** For a reply its status and reason, for a failure its message. */
  readonly detail?: string;
  /** What it changed, one line each. */
  readonly changes?: readonly string[];
}

/** The gateway answers itself. */
export interface ReplyVerdict {
  readonly type: 'reply';
  readonly status: number;
  /** Besides Date, Server and the framing. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** How `body` stands for the bytes. */
  readonly encoding: 'utf-8' | 'base64';
  readonly reason: string;
  /** What broke, when the answer is about a failure. */
  readonly detail?: string;
  /** The Binding that replied; null when the gateway itself did. */
  readonly by: NamedBinding | null;
}

/** The request goes to an Upstream; what comes back isn't known. */
export interface ForwardVerdict {
  readonly type: 'forward';
  readonly upstream: {
    /** Its id, or empty when it is written in place. */
    readonly id: string;
    /** `upstreams/id`, or the resource that holds it. */
    readonly key: string;
    readonly scheme: 'http' | 'https';
    readonly targets: readonly string[];
    /** Of the Targets, those that are passed over since they failed. When all of them are, none is. */
    readonly unhealthy: readonly string[];
  };
  /** `host:port` of the first attempt. With several Targets and a Balancer that takes turns, the next request may get another. */
  readonly target: string;
  readonly request_line: string;
  /** As they would be sent, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface ExplainedLogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}
