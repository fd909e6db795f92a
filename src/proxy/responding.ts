import { ChunkedScanner, type ChunkSink, trailerFields } from '../http/chunked.ts';
import { output } from '../http/output.ts';
import { CONGESTED } from '../http/transport.ts';
import type { UpstreamConnection } from '../http/upstream-connection.ts';
import type { BodyFilter } from '../plugin/body-filter.ts';
import type { BodySource } from '../plugin/body-source.ts';
import { BodyFilters, type FilteredBody, nameCodings } from './body-filters.ts';
import { type Exchange, Stage } from './exchange.ts';
import { PluginFailure } from './pipeline.ts';
import { runResponseHeaders, sendReply } from './reply-writer.ts';
import {
  type BodyFraming,
  writeInterimHead,
  writeResponseHead,
  writeSwitchingHead,
} from './response-writer.ts';
import { SourceReader, type SourceSink } from './source-reader.ts';
import { Tunnel } from './tunnel.ts';
import { acceptsWebSocket, wantsWebSocket } from './websocket-handshake.ts';

/**
 * What happens to the body's bytes: sent as they came, sent without chunks, held for the handlers,
 * thrown away for a body of ours, thrown away since the client expects none, given to filters.
 */
type Mode = 'raw' | 'dechunk' | 'collect' | 'replace' | 'drop' | 'filter';

/** The way of a response to the client. */
export class Responding implements ChunkSink, FilteredBody, SourceSink {
  readonly #exchange: Exchange;
  /** Bytes of the final response were sent to the client. */
  begun = false;
  #mode: Mode = 'raw';
  #decoder: ChunkedScanner | null = null;
  #pieces: Buffer[] = [];
  #collectedBytes = 0;
  #filters: BodyFilters | null = null;
  /** Filters that see the body though something else is sent. */
  #watching: BodyFilters | null = null;
  /** What filters make goes out in chunks. */
  #chunks = false;
  /** Makes the body, where it is ours and comes in pieces. */
  #source: SourceReader | null = null;
  /** Why no more of the body may come: the client takes no more, or a filter can't keep up. */
  #congested = false;
  #filterFull = false;
  /** The trailer section that came behind the body that filters see. */
  #trailers: number[] = NO_TRAILERS;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  reset(): void {
    this.begun = false;
    this.#mode = 'raw';
    this.#collectedBytes = 0;
    // A body that was not followed to its end left the decoder somewhere in it.
    if (this.#decoder !== null) this.#decoder.sink = null;
    if (this.#pieces.length > 0) this.#pieces = [];
    if (this.#filters !== null) {
      this.#filters.abort();
      this.#filters = null;
      this.#trailers = NO_TRAILERS;
    }
    if (this.#source !== null) {
      this.#source.stop();
      this.#source = null;
    }
    this.#congested = this.#filterFull = false;
    if (this.#watching !== null) {
      this.#watching.abort();
      this.#watching = null;
    }
  }

  onResponse(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    const exchange = this.#exchange;
    const { response, responseHead } = exchange;
    const second = exchange.bare ? null : exchange.second;
    response.begin(responseHead.status, 'upstream');
    if (second?.responseHeaders) runResponseHeaders(exchange);
    // A Plugin may have changed the method or the status, and then these two differ.
    const comesWithout = exchange.requestIsHead || isBodiless(responseHead.status);
    const goesWithout = exchange.clientAskedHead || isBodiless(response.status);
    if (response.replacement !== undefined) {
      this.#mode = 'replace';
      this.#watch();
      // What has no known end may be a stream that never has one.
      if (!complete && !comesWithout && responseHead.contentLength < 0) return this.#sendWhole();
    } else if (second?.responseBody && !comesWithout && !goesWithout) {
      this.#mode = 'collect';
      this.#watch();
    } else if (goesWithout) {
      this.#mode = 'drop';
      this.#refuseFilters();
      this.#sendHead('none', bytes, 0, 0, complete);
      if (!complete) return exchange.finish();
    } else if (comesWithout) {
      this.#refuseFilters();
      this.#sendHead(0, bytes, 0, 0, complete);
    } else if (response.filters !== null) {
      this.#mode = 'filter';
      const original = response.filters.filter((filter) => filter.original === true);
      const others = response.filters.filter((filter) => filter.original !== true);
      this.#beginFilters([...original, ...others], responseHead.contentLength);
    } else if (!responseHead.chunked) {
      const { contentLength } = responseHead;
      this.#sendHead(contentLength >= 0 ? contentLength : 'close', bytes, start, end, complete);
    } else if (exchange.requestHead.minorVersion === 1)
      this.#sendHead('chunked', bytes, start, end, complete);
    else {
      this.#mode = 'dechunk';
      this.#sendHead('close', bytes, 0, 0, false);
    }
    if (this.#mode !== 'raw') this.#follow(bytes, start, end, complete);
  }

  onBody(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    const exchange = this.#exchange;
    if (this.#mode !== 'raw') return this.#follow(bytes, start, end, complete);
    exchange.bytesOut += end - start;
    const congested = exchange.connection?.relay(bytes, start, end) === CONGESTED;
    if (congested && !complete) exchange.forwarding.pauseResponse();
  }

  /** The Upstream's connection is free; the response may still be in the making. */
  onUpstreamDone(): void {
    const exchange = this.#exchange;
    this.#watching?.end();
    if (this.#mode === 'collect') {
      exchange.response.replacement = Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.transform(() => this.#sendWhole());
    } else if (this.#mode === 'replace') this.#sendWhole();
    else if (this.#mode === 'filter') this.#endFilters();
    else exchange.finish();
  }

  /** Runs the responseBody handlers over the whole body, then goes on. */
  transform(then: () => void): void {
    const exchange = this.#exchange;
    const steps = exchange.second!.responseBody!;
    const run = (from: number): void => {
      for (let i = from; i < steps.length; i++) {
        let pending: Promise<void> | void;
        try {
          pending = steps[i].run(exchange);
        } catch (error) {
          throw new PluginFailure(steps[i], error);
        }
        if (pending instanceof Promise) {
          void exchange.wait(
            pending.catch((error) => {
              throw new PluginFailure(steps[i], error);
            }),
            () => {
              if (exchange.stage !== Stage.Ended) run(i + 1);
            },
          );
          return;
        }
      }
      then();
    };
    run(0);
  }

  onInterim(): void {
    const { responseHead, requestHead, connection } = this.#exchange;
    // 100 was ours to say; an HTTP/1.0 client knows no interim responses (RFC 9110 15.2).
    if (responseHead.status === 100 || requestHead.minorVersion === 0 || connection === null) return;
    output.begin();
    writeInterimHead(responseHead);
    if (connection.send() === CONGESTED) this.#exchange.forwarding.pauseResponse();
  }

  onSwitched(upstream: UpstreamConnection, bytes: Uint8Array, start: number, end: number): boolean {
    const exchange = this.#exchange;
    const { connection } = exchange;
    if (connection === null || !wantsWebSocket(exchange) || !acceptsWebSocket(exchange)) return false;
    exchange.upstreamStatus = 101;
    exchange.forwarding.onAnswered();
    exchange.response.begin(101, 'upstream');
    exchange.stage = Stage.Responding;
    this.begun = true;
    output.begin();
    writeSwitchingHead(exchange);
    connection.send();
    const tunnel = new Tunnel(exchange, connection, upstream);
    if (end > start) upstream.tunnel!.onData(Buffer.from(bytes.subarray(start, end)), 0, end - start);
    connection.becomeTunnel(tunnel);
    return true;
  }

  // Filters.

  /** Sends the head of a response whose body passes through filters; `length` is -1 where it isn't known. */
  #beginFilters(filters: readonly BodyFilter[], length: number): void {
    const framing = this.openFilters(filters, length);
    nameCodings(this.#exchange.response);
    this.#sendHead(framing, NOTHING, 0, 0, false);
  }

  /** Something else than what comes will be sent: the filters that want to see that all the same do so aside. */
  #watch(): void {
    const { response } = this.#exchange;
    const original = response.filters?.filter((filter) => filter.original === true) ?? [];
    if (original.length === 0) return;
    const others = response.filters!.filter((filter) => filter.original !== true);
    response.filters = others.length > 0 ? others : null;
    this.#watching = new BodyFilters(original, NOBODY);
  }

  /** Sets the filters up and says how what they make is framed. */
  openFilters(filters: readonly BodyFilter[], length: number): BodyFraming {
    this.#filters = new BodyFilters(filters, this);
    const framing =
      length >= 0 && this.#filters.keepLength
        ? length
        : this.#exchange.requestHead.minorVersion === 1
          ? 'chunked'
          : 'close';
    this.#chunks = framing === 'chunked';
    return framing;
  }

  /** Gives all of a body to the filters that were opened. */
  filterWhole(body: Uint8Array): void {
    // One of them may fail and end the Exchange meanwhile.
    const filters = this.#filters!;
    if (body.length > 0) filters.write(body);
    filters.end();
  }

  /** Gives a body that is made in pieces to the filters that were opened, at the client's pace. */
  filterSource(source: BodySource, congested: boolean): void {
    this.#source = new SourceReader(source, this);
    this.#congested = congested;
    if (!congested) this.#source.resume();
  }

  onSourceData(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#filters?.write(bytes);
  }

  onSourceEnd(): void {
    this.#filters?.end();
  }

  onSourceFailure(error: unknown): void {
    this.#exchange.fail(error);
  }

  // The pace.

  onFilterFull(): void {
    this.#filterFull = true;
    this.#pause();
  }

  #pause(): void {
    if (this.#source !== null) this.#source.pause();
    else this.#exchange.forwarding.pauseResponse();
  }

  #resume(): void {
    if (this.#congested || this.#filterFull) return;
    if (this.#source !== null) this.#source.resume();
    else this.#exchange.forwarding.resumeResponse();
  }

  onClientDrain(): void {
    this.#congested = false;
    this.#resume();
  }

  #endFilters(): void {
    if (this.#trailers.length > 2 && this.#filters?.takeTrailers(trailerFields(this.#trailers))) {
      this.#trailers = NO_TRAILERS;
    }
    this.#filters?.end();
  }

  /** A response without a body: filters have nothing to do, and the length of what they would have made is unknown. */
  #refuseFilters(): void {
    const { response, responseHead } = this.#exchange;
    if (response.filters === null) return;
    if (!isBodiless(response.status)) nameCodings(response);
    this.#filters = new BodyFilters(response.filters, this);
    if (!this.#filters.keepLength) responseHead.contentLength = -1;
  }

  onFilteredData(bytes: Uint8Array): void {
    const exchange = this.#exchange;
    const { connection } = exchange;
    if (connection === null) return;
    output.begin();
    if (this.#chunks) {
      output.putText(`${bytes.length.toString(16)}\r\n`);
      output.putAll(bytes);
      output.putText('\r\n');
    } else output.putAll(bytes);
    exchange.bytesOut += output.length;
    if (connection.send() === CONGESTED) {
      this.#congested = true;
      this.#pause();
    }
  }

  onFilteredEnd(): void {
    const exchange = this.#exchange;
    if (exchange.connection === null) return;
    if (this.#chunks) {
      output.begin();
      output.putText('0\r\n');
      for (const [name, value] of trailerFields(this.#trailers)) output.putText(`${name}: ${value}\r\n`);
      output.putText('\r\n');
      exchange.bytesOut += output.length;
      exchange.connection.send();
    }
    exchange.finish();
  }

  onFilterReady(): void {
    this.#filterFull = false;
    this.#resume();
  }

  onFilterFailure(error: Error): void {
    this.#exchange.fail(error);
  }

  #sendHead(framing: BodyFraming, bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    const exchange = this.#exchange;
    const connection = exchange.connection!;
    this.begun = true;
    if (!connection.requestComplete || framing === 'close') connection.keepAlive = false;
    output.begin();
    writeResponseHead(exchange, framing);
    exchange.bytesOut += output.length + end - start;
    // Head and first piece of the body leave in one write.
    output.put(bytes, start, end);
    if (connection.send() === CONGESTED && !complete) {
      this.#congested = true;
      this.#pause();
    }
  }

  /** Body bytes that are not relayed as they come. */
  #follow(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    const exchange = this.#exchange;
    if (this.#mode === 'drop' || (this.#mode === 'replace' && this.#watching === null)) return;
    if (exchange.responseHead.chunked) {
      if (this.#decoder === null) this.#decoder = new ChunkedScanner();
      if (this.#decoder.sink === null) {
        this.#decoder.reset();
        this.#decoder.sink = this;
        if (this.#mode === 'filter') this.#decoder.trailers = this.#trailers = [];
      }
      this.#decoder.scan(bytes, start, end);
      if (complete) this.#decoder.sink = null;
    } else this.onChunkData(bytes, start, end);
  }

  onChunkData(bytes: Uint8Array, start: number, end: number): void {
    const exchange = this.#exchange;
    if (this.#watching !== null && end > start) this.#watching.write(bytes.subarray(start, end));
    if (this.#mode === 'replace') return;
    if (this.#mode === 'filter') {
      if (end > start) this.#filters?.write(bytes.subarray(start, end));
      return;
    }
    if (this.#mode === 'dechunk') {
      exchange.bytesOut += end - start;
      if (exchange.connection?.relay(bytes, start, end) === CONGESTED) exchange.forwarding.pauseResponse();
      return;
    }
    this.#collectedBytes += end - start;
    if (this.#collectedBytes > exchange.host.maxCollectedBytes) {
      throw new RangeError('the response body is larger than may be held in memory');
    }
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
  }

  #sendWhole(): void {
    const exchange = this.#exchange;
    const { connection, response } = exchange;
    if (connection === null) return;
    if (response.replaced) return sendReply(exchange);
    const body = response.body;
    const bodiless = isBodiless(response.status);
    if (response.filters !== null) {
      if (!bodiless && !exchange.clientAskedHead) {
        this.#beginFilters(response.filters, body.length);
        this.filterWhole(body);
        return;
      }
      this.#refuseFilters();
    }
    this.begun = true;
    if (!connection.requestComplete) connection.keepAlive = false;
    output.begin();
    writeResponseHead(exchange, bodiless ? 'none' : body.length);
    if (!bodiless && !exchange.clientAskedHead) output.putAll(body);
    exchange.bytesOut += output.length;
    connection.send();
    exchange.finish();
  }
}

const NOTHING = new Uint8Array(0);
const NO_TRAILERS: number[] = [];

/** Takes what filters give on that only watch. */
const NOBODY: FilteredBody = {
  onFilteredData() {},
  onFilteredEnd() {},
  onFilterFull() {},
  onFilterReady() {},
  onFilterFailure() {},
};

/** Whether responses of that status have no body (RFC 9110 6.4.1). */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}
