// Requests of one kind, to compare two servers or two settings with each other.
//
//   KIND=same      the same 3 texts again and again
//   KIND=repeats   what the older services' users ask for
//   KIND=unseen    4 texts of 20 words that nobody asked before
//   URL, VUS (10), DURATION (10s)
import http from 'k6/http';
import { check } from 'k6';
import { repeats } from '../../loadtest/lib/classic.js';
import { sentence } from '../../loadtest/lib/words.js';

const url = `${__ENV.URL || 'http://localhost:8080'}/v1/models/sentiment:predict`;
const same = ['I love this phone.', 'The delivery was late.', 'It does what it says.'];
const kinds = { same: () => same, repeats, unseen: () => Array.from({ length: 4 }, () => sentence(20)) };
const texts = kinds[__ENV.KIND || 'same'];

export const options = {
  vus: Number(__ENV.VUS || 10),
  duration: __ENV.DURATION || '10s',
  summaryTrendStats: ['med'],
};

export default function () {
  const asked = texts();
  check(http.post(url, JSON.stringify({ text: asked })), {
    'has a prediction for each text': (r) => r.status === 200 && r.json('predictions.#') === asked.length,
  });
}
