import KluereTraining
import Testing

// Golden values: torch 2.13 with get_linear_schedule_with_warmup, get_cosine_schedule_with_warmup and
// get_constant_schedule_with_warmup of transformers 5.23, peak 5e-5: get_last_lr() before each optimizer step.
private let warmUp = [0, 1.6666666666666667e-05, 3.3333333333333335e-05]
private let golden: [(ScheduleKind, Int, [Double])] = [
  (
    .linear, 3,
    warmUp + [
      5e-05, 4.2857142857142856e-05, 3.571428571428572e-05, 2.857142857142857e-05, 2.1428571428571428e-05,
      1.4285714285714285e-05, 7.142857142857143e-06,
    ]
  ),
  (
    .linear, 0,
    [
      5e-05, 4.2857142857142856e-05, 3.571428571428572e-05, 2.857142857142857e-05, 2.1428571428571428e-05,
      1.4285714285714285e-05, 7.142857142857143e-06,
    ]
  ),
  (
    .cosine, 3,
    warmUp + [
      5e-05, 4.752422169756048e-05, 4.058724504646834e-05, 3.056302334890786e-05, 1.9436976651092144e-05,
      9.412754953531663e-06, 2.475778302439524e-06,
    ]
  ),
  (.constant, 3, warmUp + [5e-05, 5e-05, 5e-05, 5e-05]),
  (.constant, 0, [5e-05, 5e-05]),
  // Warm-up longer than the run: the peak is never reached.
  (.linear, 5, [0, 1e-05, 2e-05, 3e-05]),
  (.cosine, 5, [0, 1e-05, 2e-05, 3e-05]),
]

@Test(arguments: golden.indices)
func `learning rates are those of transformers' schedules`(_ number: Int) {
  let (kind, warmup, rates) = golden[number]
  let schedule = Schedule(kind: kind, peak: 5e-5, warmupSteps: warmup, totalSteps: rates.count)
  for (step, rate) in rates.enumerated() {
    #expect(abs(schedule.rate(step) - rate) <= 1e-19, "update \(step)")
  }
}

/// The same transformers' get_scheduler, warm-up 3 of 10 updates, update 3 on.
private let shaped: [(ScheduleKind, @Sendable (inout ScheduleShape) -> Void, [Double])] = [
  (
    .cosine, { $0.cycles = 1.5 },
    [
      5e-05, 3.056302334890786e-05, 2.475778302439524e-06, 9.412754953531658e-06,
      4.0587245046468336e-05, 4.7524221697560484e-05, 1.9436976651092148e-05,
    ]
  ),
  (
    .cosineWithRestarts, { _ in },
    [
      5e-05, 4.752422169756048e-05, 4.058724504646834e-05, 3.056302334890786e-05,
      1.9436976651092144e-05, 9.412754953531663e-06, 2.475778302439524e-06,
    ]
  ),
  (
    .cosineWithRestarts, { $0.cycles = 3 },
    [
      5e-05, 3.056302334890786e-05, 2.475778302439524e-06, 4.058724504646835e-05,
      9.412754953531672e-06, 4.7524221697560484e-05, 1.9436976651092164e-05,
    ]
  ),
  (
    .polynomial, { _ in },
    [
      5e-05, 4.287142857142858e-05, 3.574285714285714e-05, 2.861428571428571e-05,
      2.1485714285714288e-05, 1.4357142857142855e-05, 7.228571428571432e-06,
    ]
  ),
  (
    .polynomial,
    {
      $0.power = 2.5
      $0.end = 1e-6
    },
    [
      5e-05, 3.432952359181186e-05, 2.2128856368212917e-05, 1.3094863136295271e-05,
      6.8918830363717965e-06, 3.1380899352993953e-06, 1.3779644730092275e-06,
    ]
  ),
  (
    .inverseSquareRoot, { _ in },
    [
      5e-05, 4.330127018922194e-05, 3.872983346207417e-05, 3.535533905932738e-05,
      3.273268353539885e-05, 3.061862178478972e-05, 2.8867513459481293e-05,
    ]
  ),
]

@Test(arguments: shaped.indices)
func `schedules with a shape of their own are those of transformers`(_ number: Int) {
  let (kind, change, rates) = shaped[number]
  var shape = ScheduleShape()
  change(&shape)
  let schedule = Schedule(kind: kind, peak: 5e-5, warmupSteps: 3, totalSteps: 10, shape: shape)
  for (step, rate) in rates.enumerated() {
    #expect(abs(schedule.rate(step + 3) - rate) <= 1e-19, "update \(step + 3)")
  }
  #expect(schedule.rate(1) == 5e-5 / 3)
}

@Test func `an inverse square root without warm-up has a time scale of 10000`() {
  let schedule = Schedule(kind: .inverseSquareRoot, peak: 5e-5, warmupSteps: 0, totalSteps: 10)
  let rates = [5e-05, 4.9997500187484384e-05, 4.9995000749875034e-05, 4.999250168707824e-05]
  for (step, rate) in rates.enumerated() { #expect(abs(schedule.rate(step) - rate) <= 1e-19) }
}
