import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.data import batching, population
from tff_pipelines.learning import evaluation, fed_avg
from tff_pipelines.models import binary_metrics, text_classifiers

pytestmark = pytest.mark.usefixtures('native_context')

NUM_IDS, NUM_TEXTS = 30, 100


def texts_of_one_word() -> tuple:
  rng = np.random.default_rng(0)
  ids = rng.integers(1, NUM_IDS, [NUM_TEXTS, 1]).astype(np.int32)
  # Later words are spam more often.
  labels = rng.random(NUM_TEXTS) < ids[:, 0] / NUM_IDS
  weights = np.ones([NUM_TEXTS, 1], np.float32)
  return {'ids': ids, 'weights': weights}, labels.astype(np.int32)


EXAMPLES = texts_of_one_word()
EVERYONE = np.arange(NUM_TEXTS)
# A word's logit is the centre of an interval, so that AUC is exact.
LOGITS = (np.random.default_rng(1).integers(-60, 60, NUM_IDS) + 0.5) * 0.05
WEIGHTS = tff.learning.models.ModelWeights(
  (LOGITS.astype(np.float32)[:, np.newaxis], np.float32(0)), ()
)


def deal(**rows_by_client) -> population.ArrayPopulation:
  return population.ArrayPopulation(EXAMPLES, rows_by_client)


def batches_of(people: population.ArrayPopulation, batch_size: int = 7):
  return people.batches(
    range(people.num_clients),
    batching.Batching(batch_size),
    seed=0,
    round_num=1,
  )


@pytest.fixture(scope='module')
def model() -> tff.learning.models.FunctionalModel:
  spec = deal(everyone=EVERYONE).batch_spec
  return text_classifiers.build_logistic_regression(NUM_IDS, spec).functional


@pytest.fixture(scope='module')
def evaluate(model) -> tff.Computation:
  return evaluation.build(model)


def test_metrics_equal_those_of_scikit_learn_on_pooled_data(evaluate):
  found = evaluate(
    WEIGHTS,
    batches_of(deal(a=EVERYONE[:50], b=EVERYONE[50:51], c=EVERYONE[51:])),
  )
  x, labels = EXAMPLES
  logits = LOGITS[x['ids'][:, 0]]
  predicted = logits >= 0
  (tn, fp), _ = sklearn_metrics.confusion_matrix(labels, predicted)
  expected = {
    'loss': sklearn_metrics.log_loss(labels, 1 / (1 + np.exp(-logits))),
    'accuracy': sklearn_metrics.accuracy_score(labels, predicted),
    'recall': sklearn_metrics.recall_score(labels, predicted),
    'false_positive_rate': fp / (fp + tn),
    'matthews_correlation': sklearn_metrics.matthews_corrcoef(
      labels, predicted
    ),
    'auc': sklearn_metrics.roc_auc_score(labels, logits),
    'num_examples': NUM_TEXTS,
  }
  assert list(found) == list(expected)
  for name, value in expected.items():
    assert found[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize('batch_size', [1, 7, 1000])
@pytest.mark.parametrize(
  'dealt',
  [
    {'everyone': EVERYONE},
    {'even': EVERYONE[::2], 'odd': EVERYONE[1::2], 'nothing': []},
    {f'client_{i}': EVERYONE[i::20] for i in range(20)},
  ],
  ids=['one', 'three', 'twenty'],
)
def test_metrics_do_not_depend_on_how_examples_are_dealt(
  evaluate, dealt, batch_size
):
  whole = evaluate(WEIGHTS, batches_of(deal(everyone=EVERYONE), 1000))
  found = evaluate(WEIGHTS, batches_of(deal(**dealt), batch_size))
  assert list(found) == list(whole)
  for name in whole:
    # Counts are exact; the sum of losses depends on the order.
    tolerance = 1e-5 if name == 'loss' else 0
    assert found[name] == pytest.approx(whole[name], abs=tolerance), name


@pytest.mark.parametrize(
  'dealt', [{'nothing': []}, {}], ids=['empty', 'nobody']
)
def test_without_examples_the_metrics_are_undefined(evaluate, dealt):
  people = deal(**dealt, everyone=EVERYONE)
  batches = people.batches(
    range(len(dealt)), batching.Batching(7), seed=0, round_num=1
  )
  found = evaluate(WEIGHTS, batches)
  assert found['num_examples'] == 0
  assert math.isnan(found['loss']) and math.isnan(found['accuracy'])


def test_weights_of_a_learning_process_are_accepted(evaluate, model):
  optimizer = tff.learning.optimizers.build_sgdm(1.0)
  process = fed_avg.build(
    model,
    client_optimizer=optimizer,
    server_optimizer=optimizer,
    aggregator=tff.aggregators.UnweightedMeanFactory(),
  )
  assert evaluation.weights_type(model).is_equivalent_to(
    process.get_model_weights.type_signature.result
  )
  weights = process.get_model_weights(process.initialize())
  found = evaluate(weights, batches_of(deal(everyone=EVERYONE)))
  assert found['loss'] == pytest.approx(math.log(2), rel=1e-6)


def test_the_type_is_weights_and_batches_to_metrics(evaluate):
  assert evaluate.type_signature.parameter[0].placement is tff.SERVER
  assert evaluate.type_signature.parameter[1].placement is tff.CLIENTS
  assert evaluate.type_signature.result.placement is tff.SERVER


def test_the_model_is_not_in_training_when_it_is_evaluated():
  @tf.function
  def predict(weights, x, training=True):
    return tf.zeros_like(x) + (weights[0] if training else -weights[0])

  model = tff.learning.models.FunctionalModel(
    initial_weights=(np.float32(1.0), ()),
    predict_on_batch_fn=predict,
    loss_fn=lambda output, label, sample_weight=None: tf.reduce_mean(output),
    metrics_fns=binary_metrics.metric_fns(),
    input_spec=(
      tf.TensorSpec([None], tf.float32),
      tf.TensorSpec([None], tf.int32),
    ),
  )
  state = evaluation.update_metrics(
    model,
    model.initialize_metrics_state(),
    model.initial_weights,
    (tf.zeros([3]), tf.constant([1, 0, 0])),
  )
  found = model.finalize_metrics(state)
  # In training all logits and the loss are 1.
  assert found['accuracy'].numpy() == pytest.approx(2 / 3)
  assert found['loss'] == -1
