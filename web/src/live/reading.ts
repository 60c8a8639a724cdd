/**
 * A list that the stream only names: read when it changed, one reading at a time, and again until a reading succeeds.
 * Changes that come while it is read cause one more.
 */

import { ApiProblem } from '@/client'

const PAUSE_MS = 1000
const AFTER_FAILURE_MS = 5000

export class Reading<T> {
  private isBusy = false
  private isWanted = false
  private timer: ReturnType<typeof setTimeout> | undefined
  /** Counts the watches: what was asked for in one that is over is of no use to the next. */
  private watch = 0

  constructor(
    private readonly read: () => Promise<T>,
    private readonly take: (answer: T) => void,
  ) {}

  ask(): void {
    this.isWanted = true
    if (!this.isBusy && this.timer === undefined) void this.run()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.isWanted = this.isBusy = false
    this.watch++
  }

  private async run(): Promise<void> {
    const mine = this.watch
    this.isBusy = true
    this.isWanted = false
    let pauseMs = PAUSE_MS
    try {
      const answer = await this.read()
      if (mine === this.watch) this.take(answer)
    } catch (error) {
      // What the server refuses it refuses again; everything else passes.
      if (mine === this.watch && !isRefusal(error)) this.isWanted = true
      pauseMs = AFTER_FAILURE_MS
    }
    if (mine !== this.watch) return
    this.isBusy = false
    this.timer = setTimeout(() => {
      this.timer = undefined
      if (this.isWanted) void this.run()
    }, pauseMs)
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof ApiProblem && error.status >= 400 && error.status < 500 && error.status !== 429
}
