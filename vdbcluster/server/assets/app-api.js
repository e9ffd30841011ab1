/* The JSON API: every request of the page goes through here.

   get(place, path, query) -> JSON      a later get of the same place takes over: the earlier one
                                        ends with Stale, which nobody shows
   send(method, path, body) -> JSON     with the header that edits need
   Errors: ApiError(message, status); status 0: the server does not answer. */

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Stale extends Error {}

const FOLLOWED = ["main", "clusters"];

const under = new Map();
let heard = () => {};

/* told(run_id): which run the labels of an answer are of. */
export const follow = (told) => {
  heard = told;
};

export async function get(place, path, query = {}) {
  under.get(place)?.abort();
  const controller = new AbortController();
  under.set(place, controller);
  const address = new URL(`/api/${path}`, location.origin);
  for (const [name, value] of Object.entries(query))
    for (const one of [value].flat())
      if (one !== null && one !== undefined && one !== false && (one !== "" || name === "key"))
        address.searchParams.append(name, one);
  const body = await ask(address, { signal: controller.signal });
  if (FOLLOWED.includes(place) && typeof body.run_id === "string") heard(body.run_id);
  return body;
}

/* What is under way for a place is wanted no more. */
export function drop(place) {
  under.get(place)?.abort();
}

export function send(method, path, body) {
  const headers = { "Content-Type": "application/json", "X-Vdbcluster": "edit" };
  return ask(new URL(`/api/${path}`, location.origin), {
    method,
    headers,
    body: JSON.stringify(body),
  });
}

async function ask(address, options) {
  const [answer, body] = await answered(address, options);
  if (options.signal?.aborted) throw new Stale();
  if (!answer.ok) throw new ApiError(reason(answer, body), answer.status);
  if (body === undefined)
    throw new ApiError("The server sent something that is not JSON.", answer.status);
  return body;
}

async function answered(address, options) {
  try {
    const answer = await fetch(address, { ...options, credentials: "same-origin" });
    return [answer, parsed(await answer.text())];
  } catch (error) {
    if (error.name === "AbortError") throw new Stale();
    throw new ApiError("The server does not answer. It may have been stopped or restarted.", 0);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reason(answer, body) {
  if (body && typeof body.error === "string") return body.error;
  return `The server answered with an error (${answer.status}).`;
}
