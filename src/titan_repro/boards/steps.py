"""The paper's steps of a round as work: filter, scoring, selection, training.

From the paper alone, never from how this package does it: its short cuts (features passed on to
scoring, folded normalisation, a round filtered at once) are those of one machine's software.
"""

from collections.abc import Sequence

from titan_repro.boards.layers import Layer
from titan_repro.boards.work import (
    NO_WORK,
    Work,
    backward_work,
    forward_work,
    product,
    update_work,
    vectors,
)
from titan_repro.selection.base import Needs, Policy
from titan_repro.selection.camel import Camel
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.craig import Craig
from titan_repro.selection.divbs import DiversifiedBatchSelection
from titan_repro.selection.gradmatch import GradientMatching
from titan_repro.selection.k_center import KCenter
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.rho_loss import ReducibleLossRanking
from titan_repro.selection.uds import UtilityDiversitySampling
from titan_repro.selection.uniform import UniformSampling

UPDATE, REP, DIV = 3, 2, 2
"""Vectors that each of the filter's three passes touches (section 3.3): the running sum of a class
takes up the feature (feature and sum read, sum written); Rep and Div read feature and centroid."""


def filter_work(layers: Sequence[Layer], blocks: int, feature: int, samples: int) -> Work:
    """Return the work of filtering samples at once.

    blocks: the first ones, whose output is the feature. feature: its length.
    """
    shallow = [layer for layer in layers if layer.block < blocks]
    passes = vectors((UPDATE + REP + DIV) * feature * samples, launches=3)
    return forward_work(shallow, samples) + passes


def scoring_work(
    layers: Sequence[Layer], needs: Needs, embedding: int, classes: int, samples: int
) -> Work:
    """Return the work of looking at samples at once: a forward pass, and a norm or loss of each.

    needs: of the policy. From logits p comes the loss, the entropy or p - y; from the embedding h
    too, the norm of the last layer's gradient is |p - y| sqrt(1 + |h|^2). Gradients over all
    parameters take a backward pass a sample.
    """
    if samples == 0 or needs in (Needs.NOTHING, Needs.INPUTS):
        return NO_WORK
    if needs is Needs.FULL_GRADIENTS:
        weights = sum(layer.weights for layer in layers)
        one = forward_work(layers, 1) + backward_work(layers, 1) + vectors(weights, launches=1)
        return one * samples
    length = classes + (embedding if needs is Needs.EMBEDDINGS else 0)
    return forward_work(layers, samples) + vectors(2 * length * samples, launches=3)


def selection_work(
    policy: Policy, candidates: int, embedding: int, classes: int, inputs: int
) -> Work:
    """Return the work of choosing a batch among scored candidates.

    C-IS: the mean gradient of each class, of (p - y) [h, 1]. OCS, DivBS, CRAIG, GRAD-MATCH: every
    pair's product of gradients. Camel, k-center: every pair's distance in the input, the embedding.
    UDS: the distance to every remembered sample's logits. RHO-LOSS: a linear model of the inputs,
    forward and, at most, backward. Any other ranks one number a candidate; a random draw, too.
    inputs: numbers of a sample.
    """
    if candidates == 0:
        return NO_WORK
    ranking = vectors(2 * candidates, launches=2)
    gradient = embedding + 1
    match policy:
        case UniformSampling():
            return vectors(candidates, launches=1)
        case ClassifiedImportanceSampling():
            means = product(classes, candidates, gradient)
            return means + vectors(classes * classes * gradient, launches=1) + ranking
        case OnlineCoresetSelection() | DiversifiedBatchSelection() | Craig() | GradientMatching():
            pairs = product(candidates, gradient + classes, candidates)
            return pairs + vectors(2 * candidates**2, launches=2) + ranking
        case Camel():
            pairs = product(candidates, inputs, candidates)
            return pairs + vectors(2 * candidates**2, launches=2) + ranking
        case KCenter():
            pairs = product(candidates, embedding, candidates)
            return pairs + vectors(2 * candidates**2, launches=2) + ranking
        case UtilityDiversitySampling():
            return product(candidates, classes, policy.memory) + ranking
        case ReducibleLossRanking():
            forward = product(candidates, inputs + 1, classes)
            return forward + product(classes, candidates, inputs + 1) + ranking
    return ranking


def training_work(layers: Sequence[Layer], parameters: int, tensors: int, samples: int) -> Work:
    """Return the work of one step: forward, backward, and the update of the weights.

    parameters, tensors: numbers that are learned, and in how many tensors.
    """
    forward = forward_work(layers, samples, training=True)
    return forward + backward_work(layers, samples) + update_work(parameters, tensors)
