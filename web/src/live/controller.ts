/**
 * The live stream, as a state machine without a page: a snapshot, then deltas numbered by one. A gap, silence, a lost
 * link or waking from sleep all end the same way: a new connection, which begins with a snapshot.
 */

import type { LiveDelta, LiveMessage, LiveSnapshot } from '@/client'

export type LinkPhase = 'connecting' | 'live' | 'down'

export interface LiveEvents {
  phase(phase: LinkPhase): void
  snapshot(message: LiveSnapshot): void
  delta(message: LiveDelta): void
  /** The connection was refused before it began: ask whether we are still signed in. */
  refused(): void
}

/** A delta comes every second, also when empty; after this much silence the link is dead whatever TCP says. */
const SILENCE_MS = 12_000
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15_000

export class LiveController {
  private socket: WebSocket | null = null
  private seq = 0
  private isSynchronised = false
  private waitMs = FIRST_WAIT_MS
  private retry: ReturnType<typeof setTimeout> | undefined
  private watch: ReturnType<typeof setInterval> | undefined
  private lastMessage = 0
  private readonly wake = () => {
    if (document.visibilityState === 'visible') this.check()
  }

  constructor(
    private readonly url: string,
    private readonly events: LiveEvents,
  ) {}

  start(): void {
    if (this.watch !== undefined) return
    this.watch = setInterval(() => this.check(), 2000)
    window.addEventListener('online', this.wake)
    document.addEventListener('visibilitychange', this.wake)
    this.connect()
  }

  stop(): void {
    clearInterval(this.watch)
    clearTimeout(this.retry)
    this.watch = undefined
    window.removeEventListener('online', this.wake)
    document.removeEventListener('visibilitychange', this.wake)
    this.drop()
  }

  /** Connect at once, without waiting for the back-off. */
  reconnect(): void {
    if (this.watch === undefined) return
    clearTimeout(this.retry)
    this.drop()
    this.connect()
  }

  private connect(): void {
    this.events.phase('connecting')
    this.lastMessage = performance.now()
    const socket = new WebSocket(this.url)
    let hasOpened = false
    this.socket = socket
    socket.onopen = () => {
      hasOpened = true
    }
    socket.onmessage = (event: MessageEvent<string>) => {
      if (socket === this.socket) this.receive(JSON.parse(event.data) as LiveMessage)
    }
    socket.onclose = (event) => {
      if (socket !== this.socket) return
      this.socket = null
      this.isSynchronised = false
      this.events.phase('down')
      if (!hasOpened || event.code === 4401 || event.code === 1008) this.events.refused()
      this.retry = setTimeout(() => this.connect(), this.waitMs * (0.75 + Math.random() / 2))
      this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS)
    }
  }

  private drop(): void {
    const socket = this.socket
    this.socket = null
    this.isSynchronised = false
    socket?.close()
  }

  private receive(message: LiveMessage): void {
    this.lastMessage = performance.now()
    if (message.type === 'snapshot') {
      this.seq = message.seq
      this.isSynchronised = true
      this.waitMs = FIRST_WAIT_MS
      this.events.snapshot(message)
      this.events.phase('live')
    } else if (message.type === 'delta' && this.isSynchronised) {
      if (message.seq !== this.seq + 1) {
        this.reconnect()
        return
      }
      this.seq = message.seq
      this.events.delta(message)
    }
  }

  /** Timers stand still while the machine sleeps, so the first check after it sees the silence. */
  private check(): void {
    if (this.socket && performance.now() - this.lastMessage > SILENCE_MS) this.reconnect()
  }
}
