// The texts that clients ask for: those of TEXTS, a JSON array, else sentences of 1 to 40 words, the same in every run.
// The first of them is the most popular.
import { SharedArray } from 'k6/data';
import { sentence } from './words.js';

const GENERATED = 20000;
const POPULAR = 200;
const NEW_SHARE = 0.1;

const vocabulary = new SharedArray('vocabulary', () => (__ENV.TEXTS ? JSON.parse(open(__ENV.TEXTS)) : generated()));

function generated() {
  let state = 1;
  // Park and Miller's, for Math.random() takes no seed
  const random = () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647;
  };
  return Array.from({ length: GENERATED }, () => sentence(1 + Math.floor(random() * 40), random));
}

// By Zipf's law with exponent 1: the text at rank r is asked for about 1/r times as often as the first.
export function zipf(among = vocabulary.length) {
  return vocabulary[Math.floor((among + 1) ** Math.random()) - 1];
}

// A text that nobody asked for: the tokenizer does not see the spaces and tabs at its end, the cache does.
export function unseen() {
  const text = vocabulary[Math.floor(Math.random() * vocabulary.length)];
  return text + Math.random().toString(2).slice(2).replace(/0/g, ' ').replace(/1/g, '\t');
}

// Nine of ten texts are among the most popular, which are soon cached, one is new; so the load stays what it is.
export function mixed() {
  return Math.random() < NEW_SHARE ? unseen() : zipf(Math.min(POPULAR, vocabulary.length));
}
