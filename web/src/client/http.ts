/** One way to the server: JSON in and out, problem details as errors, an expired sign-in healed without losing the page. */

export interface FieldError {
  field: string
  line: number | null
  message: string
}

/** The server said no (RFC 9457), or could not be reached (`status` 0). */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly errors: FieldError[] = [],
    /** Stable key of what went wrong, and what else the problem document says. */
    readonly kind = '',
    readonly facts: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail || title)
    this.name = 'ApiProblem'
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>

const BASE = '/api/v1/'
/** Who says nothing for so long will not; a dead link must not hold up what waits for the answer. Files take their time. */
const PATIENCE_MS = 30_000

/** Asked when the server no longer knows us; resolves true once somebody signed in again. */
let signInAgain: () => Promise<boolean> = () => Promise.resolve(false)

export function onExpired(handler: () => Promise<boolean>): void {
  signInAgain = handler
}

export function url(path: string, query: Query = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') search.set(name, String(value))
  }
  const text = search.toString()
  return BASE + path + (text ? `?${text}` : '')
}

interface RequestOptions {
  query?: Query
  body?: unknown
  /** A 401 is the answer, not an accident: sign-in itself and the question who we are. */
  isAnonymous?: boolean
}

export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  let body: BodyInit | undefined
  if (options.body instanceof FormData) {
    body = options.body
  } else if (options.body instanceof Blob) {
    headers['Content-Type'] = 'application/octet-stream'
    body = options.body
  } else if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    body = JSON.stringify(options.body)
  }
  const signal = typeof body === 'string' || body === undefined ? AbortSignal.timeout(PATIENCE_MS) : undefined
  const response = await fetch(url(path, options.query), { method, headers, body, signal, credentials: 'same-origin' }).catch(unreachable)
  if (response.status === 401 && !options.isAnonymous && (await signInAgain())) {
    return request(method, path, options)
  }
  if (!response.ok) throw await problem(response)
  if (response.status === 204 || response.headers.get('content-length') === '0') return undefined as T
  return (await response.json().catch(unreachable)) as T
}

/** No answer, or one that broke off, or one of something that is not our server. */
function unreachable(error: unknown): never {
  throw new ApiProblem(0, 'unreachable', error instanceof Error ? error.message : String(error))
}

async function problem(response: Response): Promise<ApiProblem> {
  const title = response.statusText || `HTTP ${response.status}`
  const wait = { wait_s: response.headers.get('retry-after') ?? '' }
  try {
    const said = (await response.json()) as Record<string, unknown>
    const text = (name: string) => (typeof said[name] === 'string' ? said[name] : '')
    const kind = text('type').split(':').pop() ?? ''
    return new ApiProblem(response.status, text('title') || title, text('detail'), fieldErrors(said.errors), kind, { ...wait, ...said })
  } catch {
    return new ApiProblem(response.status, title, '', [], '', wait) // a proxy's page, not the server's word
  }
}

function fieldErrors(errors: unknown): FieldError[] {
  if (!Array.isArray(errors)) return []
  return errors.map((error: unknown) => {
    if (typeof error !== 'object' || error === null) return { field: '', line: null, message: String(error) }
    const { field, line, message } = error as Record<string, unknown>
    return {
      field: typeof field === 'string' ? field : '',
      line: typeof line === 'number' ? line : null,
      message: String(message ?? ''),
    }
  })
}
